namespace LipVerify.Formats.OnnxGraph

open LipVerify.Core.Activations

/// Products of a tensor with a function of itself that are activations: what exporters make of SiLU, hard-swish, Mish and GELU.
module internal ScalarProducts =

    /// The steps from `origin` to `link`, each the same for all values; none where there are others.
    let private stepsFrom (origin: Link) (link: Link) =
        let rec back (link: Link) later =
            if obj.ReferenceEquals(origin, link) then
                Some later
            else
                match link.Operands, link.Scalar, link.Previous with
                | [], Some step, Some(previous, _) -> back previous (step :: later)
                | _ -> None

        back link []

    /// Steps without the factors at their end, and these.
    let private withoutFactors steps =
        let isFactor step =
            match step with
            | Times _
            | Over _ -> true
            | _ -> false

        let factors = steps |> List.rev |> List.takeWhile isFactor |> List.rev
        struct (List.take (steps.Length - factors.Length) steps, factors)

    /// The activation `y·s(y)` for the function `s` of these steps.
    let private productWith steps =
        match steps with
        | [ Logistic ] -> Some Silu.activation
        | [ LogExp; Tangent ] -> Some Mish.activation
        | [ Over c; ErrorFunction; Plus 1.0 ] when c > 0.0 -> Some(Gelu.byErf c)
        | [ Times c; ErrorFunction; Plus 1.0 ] when c > 0.0 -> Some(Gelu.byErfOfMultiple c)
        | [ Plus beta; Between(0.0, high) ] -> Some(HardSwish.general 1.0 beta high)
        | [ Times alpha; Plus beta; Between(0.0, high) ] when alpha > 0.0 -> Some(HardSwish.general alpha beta high)
        | [ Ramp(alpha, beta) ] -> Some(HardSwish.general alpha beta 1.0)
        | _ -> None

    /// Where two tensors are functions of `origin` whose product is an activation of it times factors: the activation, and these.
    let tryRead (origin: Link) (a: Link) (b: Link) : struct (Activation * ScalarStep list) option =
        match stepsFrom origin a, stepsFrom origin b with
        | Some a, Some b ->
            let struct (a, p), struct (b, q) = withoutFactors a, withoutFactors b

            match a, b with
            | [], steps
            | steps, [] -> productWith steps |> Option.map (fun known -> struct (known, p @ q))
            | _ -> None
        | _ -> None
