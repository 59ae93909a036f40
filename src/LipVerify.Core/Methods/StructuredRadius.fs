/// Certified radii by Proposition 6 from the structured bound (METHODS sections 2 and 14).
module LipVerify.Core.StructuredRadius

/// The part of the time that is left which one trial may take: the first shows more than Algorithm 1 does, and each one after it gains less.
let private part = 0.25

/// The radius that Algorithm 1 shows, where it is the larger one. Which one it is depends on the draws of both, and so on both promises.
let private noneBelow
    (quick:
        {|
            Radius: float
            Rigor: Rigor
            Lipschitz: Bound option
        |})
    (found: CertifiedRadius)
    =
    if found.Label.IsSome && quick.Lipschitz.IsSome && quick.Radius > found.Radius then
        { found with
            Radius = quick.Radius
            Rigor = Rigor.combine quick.Rigor found.Rigor
            Lipschitz = quick.Lipschitz
            NotShownAt = found.NotShownAt |> Option.filter (fun failed -> failed > quick.Radius)
        }
    else
        found

/// The radius that structured bounds certify around `input`, by search from the one that Algorithm 1 shows at once, and never below that one; and
/// whether the time ended it, or one of its bounds, so that more of it might show more. Fails for a network with a single output; raises
/// `Spectral.NotCertifiableException` where draws are not allowed.
let certify
    (context: Context)
    definition
    (network: Network)
    (input: Tensor)
    : Result<struct (CertifiedRadius * bool), string> =
    let output = EnclosedTensor.evaluate context network input
    let half = Context.share 2 context
    let isCut = ref false

    let bound context radius =
        let found =
            Structured.bound (Context.withPart part context) definition network input radius

        isCut.Value <- isCut.Value || found.IsCut
        found.Result.Bound

    let search () =
        let quick =
            CertifiedRadius.quick (Context.forComputation 0 half) definition network input output

        let start =
            CertifiedRadius.asRadius (min CertifiedRadius.largest quick.Radius)

        CertifiedRadius.search (Context.forComputation 1 half) CertifiedRadius.randomSearch output start bound
        |> Result.map (noneBelow quick)

    // Whether there are classes is asked before anything is bounded.
    CertifiedRadius.ofClasses output search
    |> Result.map (fun found -> struct (found, isCut.Value || Context.isOver context))
