/// Certified radii by Proposition 6 from the structured bound (METHODS sections 2 and 14).
module LipVerify.Core.StructuredRadius

/// The part of the time for the radius that Algorithm 1 certifies.
let private forAnalytic = 0.2

/// The part of the time that is left which one trial may take, so that there are several.
let private part = 0.4

/// The larger of two radii. Where both rest on draws, which of them it is depends on all of these.
let private larger (analytic: CertifiedRadius) (found: CertifiedRadius) =
    let best, other =
        if found.Radius > analytic.Radius then
            found, analytic
        else
            analytic, found

    { best with
        Rigor =
            match best.Rigor with
            | Certified -> Certified
            | rigor -> Rigor.combine rigor other.Rigor
        Evaluations = analytic.Evaluations + found.Evaluations
    }

/// The radius that structured bounds certify around `input`, by search from the one that Algorithm 1 certifies, and never below that one; and
/// whether the time ended it, or one of its bounds, so that more of it might show more. Fails for a network with a single output; raises
/// `Spectral.NotCertifiableException` where draws are not allowed.
let certify
    (context: Context)
    definition
    (network: Network)
    (input: Tensor)
    : Result<struct (CertifiedRadius * bool), string> =
    if context.Certification.Deterministic then
        raise (Spectral.NotCertifiableException "the structured bound rests on random draws")

    let half = Context.share 2 context
    let isCut = ref false

    // An attempt knows of no deadline, but a trial is to end with something to show.
    let timed trial =
        { trial with Deadline = half.Deadline } |> Context.withPart part

    let bound trial radius =
        let found = Structured.bound (timed trial) definition network input radius

        isCut.Value <- isCut.Value || found.IsCut
        found.Result.Bound

    let search (analytic: CertifiedRadius) =
        let context = Context.forComputation 1 half
        let output = EnclosedTensor.evaluate context network input

        CertifiedRadius.search
            context
            CertifiedRadius.randomSearch
            output
            (CertifiedRadius.asRadius analytic.Radius)
            bound
        |> Result.map (larger analytic)

    CertifiedRadius.analytic (half |> Context.forComputation 0 |> Context.withPart forAnalytic) definition network input
    |> Result.bind (fun analytic ->
        // Where nothing is decided, or everything is kept, there is nothing to search for.
        if analytic.Radius > 0.0 && analytic.Radius < CertifiedRadius.largest then
            search analytic
        else
            Ok analytic)
    |> Result.map (fun found -> struct (found, isCut.Value || Context.isOver context))
