namespace LipVerify.Core.Bounds.Exact.Maximum

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Chains
open LipVerify.Core.Bounds.Exact.Euclidean

/// `offset + rates·z ≥ −error` for all `z` of the box `|z| ≤ 1` that matter; missing rates are 0.
[<ReferenceEquality>]
type internal BoxCut =
    {
        Rates: float[]
        Offset: float
        /// A bound on the rounding of the offset.
        OffsetError: float
        /// A bound on the rounding of the offset and the rates.
        Error: float
        /// The number of its plane (`ReluChain.planes`), negative on the other side.
        Plane: int
    }

/// Bounds on affine functions over the box `|z| ≤ 1` cut by half-spaces: `max a·z + c ≤ c + Σ μ h + ‖a + Σ μ g‖₁` for any `μ ≥ 0`
/// (weak duality). Multipliers come from line searches, one cut after the other; any would do, so that none has to be trusted.
module internal BoxCuts =

    /// Line searches over all cuts before the bound is taken as it is.
    let private sweeps = 3

    /// The step `μ ≥ 0` that makes `μ h + ‖v + μ g‖₁` smallest: a convex function with a kink at each `−v_k/g_k`. Infinite where it
    /// falls for ever.
    let private lineSearch (v: float[]) (g: float[]) h =
        let mutable slope = h

        for k in 0 .. g.Length - 1 do
            slope <-
                slope
                + (if v[k] = 0.0 || v[k] * g[k] >= 0.0 then
                       abs g[k]
                   else
                       -(abs g[k]))

        if slope >= 0.0 || not (Double.IsFinite slope) then
            0.0
        else
            let kinks, weights = ResizeArray<float>(), ResizeArray<float>()

            for k in 0 .. g.Length - 1 do
                if v[k] * g[k] < 0.0 then
                    kinks.Add(-v[k] / g[k])
                    weights.Add(2.0 * abs g[k])

            let kinks, weights = kinks.ToArray(), weights.ToArray()
            Array.Sort(kinks, weights)
            let mutable k = 0

            while k < kinks.Length && slope + weights[k] < 0.0 do
                slope <- slope + weights[k]
                k <- k + 1

            if k < kinks.Length then
                kinks[k]
            else
                Double.PositiveInfinity

    /// Bounds `offset + rates·z` from above over the box and the cuts; −∞ where a cut shows that nothing is left of the box.
    let maximum (cuts: ResizeArray<BoxCut>) (rates: float[]) (offset: float) =
        let v = Array.copy rates
        let mutable value = offset
        // Sizes of what was added up, for its rounding.
        let mutable size = abs offset + Array.sumBy abs rates
        let mutable isEmpty = false
        let mutable moved = cuts.Count > 0
        let mutable sweep = 0

        while moved && sweep < sweeps && not isEmpty do
            moved <- false
            sweep <- sweep + 1

            for cut in cuts do
                if not isEmpty then
                    let h = cut.Offset + cut.Error
                    let step = lineSearch v cut.Rates h

                    if Double.IsInfinity step then
                        isEmpty <- true
                    elif step > 0.0 then
                        moved <- true
                        value <- value + step * h
                        size <- size + step * abs h

                        for k in 0 .. cut.Rates.Length - 1 do
                            v[k] <- v[k] + step * cut.Rates[k]
                            size <- size + step * abs cut.Rates[k]

        if isEmpty then
            Double.NegativeInfinity
        else
            let total = value + Array.sumBy abs v
            total + 4.0 * Rounding.gamma (v.Length + cuts.Count * sweeps + 4) * size

    /// The cut scaled so that its rates add up to 1 in magnitude.
    let create plane (rates: float[]) offset offsetError error =
        let size = Array.sumBy abs rates

        {
            Rates = rates |> Array.map (fun x -> x / size)
            Offset = offset / size
            OffsetError = offsetError / size
            Error = error / size
            Plane = plane
        }

    /// The half-space on the other side.
    let opposite (cut: BoxCut) =
        { cut with
            Rates = cut.Rates |> Array.map (~-)
            Offset = -cut.Offset
            Plane = -cut.Plane
        }

    /// What a cut says of the first `inputs` coordinates alone.
    let project inputs (cut: BoxCut) : HalfSpace option =
        let normal = Array.truncate inputs cut.Rates
        let length = sqrt (ReluChain.dot normal normal)

        if length <= 1e-12 then
            None
        else
            let rest = Array.skip inputs cut.Rates |> Array.sumBy abs

            Some
                {
                    Normal = normal |> Array.map (fun x -> x / length)
                    Offset = (cut.Offset + rest) / length
                    Error = (cut.OffsetError + 1e-13 * rest) / length
                    Slack = cut.Error / length + 1e-13 * sqrt (float inputs)
                    Plane = if rest = 0.0 then cut.Plane else 0
                }
