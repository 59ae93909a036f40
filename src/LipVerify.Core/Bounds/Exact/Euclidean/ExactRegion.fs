namespace LipVerify.Core.Bounds.Exact.Euclidean

open System
open LipVerify.Core.Chains

/// The points among which half-spaces are met.
type internal Domain =
    /// All points.
    | Space
    /// `‖s‖₂ ≤ 1`.
    | UnitBall
    /// `‖s‖∞ ≤ 1`.
    | UnitBox

/// `g·s + h ≥ 0` for points `s` of a domain, `‖g‖ = 1`.
[<ReferenceEquality>]
type internal HalfSpace =
    {
        /// `g`.
        Normal: float[]
        /// `h`.
        Offset: float
        /// A bound on the error of `h` by itself, which is that of the half-space at 0.
        Error: float
        /// A bound on the error of `g·s + h` over the domain.
        Slack: float
        /// The number of its plane (`ReluChain.planes`), negative on the other side; 0 where it has none.
        Plane: int
    }

/// Whether a domain meets half-spaces in more than a set without interior.
type internal Meeting =
    /// It surely does not.
    | Apart
    /// This point of the domain lies in the interior of all.
    | At of float[]
    /// Rounding is too large to tell.
    | Unknown

/// Which half-spaces of a domain have a point in common: a least distance problem, solved as non-negative least squares
/// (Lawson & Hanson, Solving Least Squares Problems, chapter 23). Neither answer rests on the solver: its multipliers are a
/// Farkas certificate, its point is checked against every half-space.
module internal ExactRegion =

    let private dot = ReluChain.dot

    /// Least squares `min ‖E z − f‖` over columns `passive`, by Gram–Schmidt with a second pass; columns that depend on others get 0.
    let private leastSquares (columns: float[][]) (target: float[]) (passive: int[]) =
        let basis = ResizeArray<float[]>()
        let kept = ResizeArray<int>()
        let factors = ResizeArray<float[]>()

        for j in passive do
            let v = Array.copy columns[j]
            let factor = Array.zeroCreate<float>(basis.Count + 1)

            for _ in 1..2 do
                for k in 0 .. basis.Count - 1 do
                    let along = dot basis[k] v
                    factor[k] <- factor[k] + along

                    for i in 0 .. v.Length - 1 do
                        v[i] <- v[i] - along * basis[k][i]

            let norm = sqrt (dot v v)

            if norm > 1e-13 * sqrt (dot columns[j] columns[j]) then
                factor[basis.Count] <- norm
                basis.Add(Array.map (fun x -> x / norm) v)
                kept.Add j
                factors.Add factor

        let z = Array.zeroCreate<float> columns.Length

        for k in kept.Count - 1 .. -1 .. 0 do
            let mutable value = dot basis[k] target

            for later in k + 1 .. kept.Count - 1 do
                value <- value - factors[later][k] * z[kept[later]]

            z[kept[k]] <- value / factors[k][k]

        z

    /// `f − E u`.
    let private residual (columns: float[][]) (target: float[]) (u: float[]) =
        let r = Array.copy target

        for j in 0 .. u.Length - 1 do
            if u[j] <> 0.0 then
                for i in 0 .. r.Length - 1 do
                    r[i] <- r[i] - u[j] * columns[j][i]

        r

    /// From `u` towards the least squares over `passive`, giving up columns that would turn negative.
    let rec private descend columns target (u: float[]) (passive: int list) =
        let z = leastSquares columns target (Array.ofList passive)

        match passive |> List.filter (fun j -> z[j] <= 0.0) with
        | [] -> struct (z, passive)
        | blocking ->
            let step =
                blocking
                |> List.map (fun j -> if u[j] > 0.0 then u[j] / (u[j] - z[j]) else 0.0)
                |> List.min

            let first =
                blocking
                |> List.minBy (fun j -> if u[j] > 0.0 then u[j] / (u[j] - z[j]) else 0.0)

            let moved = Array.map2 (fun u z -> u + step * (z - u)) u z
            let staying = passive |> List.filter (fun j -> j <> first && moved[j] > 0.0)
            descend columns target (Array.mapi (fun j u -> if List.contains j staying then u else 0.0) moved) staying

    /// `min ‖E u − f‖` over `u ≥ 0`, by the active sets of Lawson & Hanson.
    let private nonNegative (columns: float[][]) (target: float[]) =
        // Columns in `refused` were let in by rounding and had to leave at once.
        let rec improve rounds u passive refused =
            let r = residual columns target u
            let precision = 1e-14 * (1.0 + Array.sum u)

            let best =
                [ 0 .. columns.Length - 1 ]
                |> List.filter (fun j -> not (List.contains j passive || List.contains j refused))
                |> List.map (fun j -> struct (dot columns[j] r / sqrt (dot columns[j] columns[j]), j))
                |> List.fold max (struct (0.0, -1))

            match best with
            | struct (gain, j) when gain > precision && rounds > 0 ->
                let struct (next, kept) = descend columns target u (passive @ [ j ])

                if List.contains j kept then
                    improve (rounds - 1) next kept []
                else
                    improve (rounds - 1) u passive (j :: refused)
            | _ -> struct (u, r)

        improve (10 * columns.Length + 10) (Array.zeroCreate columns.Length) [] []

    /// The multipliers and the point nearest to 0 for the half-spaces `g·s + h + shift ≥ 0`; no point where they have none.
    let private nearest (halfSpaces: HalfSpace[]) shift =
        let n = halfSpaces[0].Normal.Length

        let columns =
            halfSpaces
            |> Array.map (fun c -> Array.append c.Normal [| -(c.Offset + shift c) |])

        let target = Array.init (n + 1) (fun i -> if i = n then 1.0 else 0.0)
        let struct (u, residual) = nonNegative columns target

        let point =
            if residual[n] > 1e-14 then
                Some(Array.init n (fun i -> -residual[i] / residual[n]))
            else
                None

        struct (u, point)

    /// The largest `g·s` over the domain.
    let private support domain (g: float[]) =
        match domain with
        | Space -> Double.PositiveInfinity
        | UnitBall -> sqrt (dot g g)
        | UnitBox -> Array.sumBy abs g

    /// The sides of the box as half-spaces; the ball has none, since the solver looks for the point nearest to its centre.
    let private sides domain size =
        match domain with
        | Space
        | UnitBall -> [||]
        | UnitBox ->
            Array.init (2 * size) (fun k ->
                {
                    Normal =
                        Array.init size (fun i ->
                            if i <> k / 2 then 0.0
                            elif k % 2 = 0 then 1.0
                            else -1.0)
                    Offset = 1.0
                    Error = 0.0
                    Slack = 0.0
                    Plane = 0
                })

    /// Every point of the half-spaces has `Σ μ g·s ≥ −Σ μ h`, which the domain may not reach.
    let private excludes domain (halfSpaces: HalfSpace[]) (multipliers: float[]) =
        let sum = ReluChain.combination multipliers (halfSpaces |> Array.map _.Normal)

        let depth =
            Array.map2 (fun (c: HalfSpace) u -> u * (-c.Offset - c.Slack)) halfSpaces multipliers
            |> Array.sum

        let total = Array.sum multipliers

        let rounding =
            match domain with
            | UnitBox -> 1e-13 * sqrt (float sum.Length)
            | Space
            | UnitBall -> 1e-13

        total > 0.0 && depth > support domain sum * (1.0 + 1e-12) + rounding * total

    /// The most inputs for which `isPoint` asks in every direction.
    let private mostDirections = 10

    /// Whether half-spaces whose planes go through 0, or leave it out, surely meet in 0 at most. For each `±e_k` multipliers are sought with
    /// `Σ μ g = ∓e_k + r`. A point `s` of all half-spaces whose largest coordinate is the k-th, of that sign, would have
    /// `0 ≤ Σ μ g·s = −|s_k| + r·s`, up to rounding, and `|s_k|` is at least `‖s‖₂/√n`.
    let private isPoint domain (halfSpaces: HalfSpace[]) =
        let through = halfSpaces |> Array.filter (fun c -> c.Offset + c.Error <= 0.0)

        if through.Length = 0 || domain = Space then
            false
        else
            let n = through[0].Normal.Length
            let columns = through |> Array.map _.Normal

            let isExcluded k =
                let target =
                    Array.init n (fun i ->
                        if i <> k / 2 then 0.0
                        elif k % 2 = 0 then 1.0
                        else -1.0)

                let struct (multipliers, rest) = nonNegative columns target

                let rounding =
                    Array.map2 (fun u (c: HalfSpace) -> u * c.Slack) multipliers through
                    |> Array.sum

                match domain with
                | UnitBox -> Array.sumBy abs rest + rounding < 0.9
                | UnitBall
                | Space -> sqrt (dot rest rest) + rounding < 0.9 / sqrt (float n)

            through.Length > n
            && n <= mostDirections
            && Seq.forall isExcluded (seq { 0 .. 2 * n - 1 })

    /// True where the point surely lies inside.
    let inside (point: float[]) (halfSpace: HalfSpace) =
        dot halfSpace.Normal point + halfSpace.Offset > halfSpace.Slack

    /// Half-spaces that point at each other along one plane have no interior in common.
    let private facing (a: HalfSpace) (b: HalfSpace) = a.Plane <> 0 && a.Plane = -b.Plane

    /// Surely inside the domain.
    let private isWithin domain (point: float[]) =
        match domain with
        | Space -> true
        | UnitBall -> sqrt (dot point point) < 1.0 - 1e-12
        | UnitBox -> point |> Array.forall (fun x -> abs x < 1.0 - 1e-12)

    /// Whether the half-spaces meet within the domain.
    let decide domain (halfSpaces: HalfSpace[]) =
        // Behind the domain there is nothing to cut off.
        let cutting =
            halfSpaces
            |> Array.filter (fun c -> c.Offset - c.Slack < support domain c.Normal)

        let last = Array.tryLast halfSpaces

        if halfSpaces.Length = 0 then
            At [||]
        elif last |> Option.exists (fun last -> Array.exists (facing last) halfSpaces) then
            Apart
        elif cutting.Length = 0 then
            At(Array.zeroCreate halfSpaces[0].Normal.Length)
        else
            let all = Array.append cutting (sides domain cutting[0].Normal.Length)
            let struct (multipliers, _) = nearest all _.Slack

            if excludes domain cutting (Array.truncate cutting.Length multipliers) then
                Apart
            else
                let isIn (point: float[]) =
                    isWithin domain point && Array.forall (inside point) halfSpaces

                // The further inside, the more surely; thin slices take a smaller distance.
                [ 1e-2; 1e-4; 1e-6; 1e-8; 1e-10; 0.0 ]
                |> Seq.choose (fun depth ->
                    let struct (_, point) = nearest all (fun c -> -2.0 * c.Slack - depth)
                    point |> Option.filter isIn)
                |> Seq.tryHead
                |> Option.map At
                |> Option.defaultWith (fun () -> if isPoint domain halfSpaces then Apart else Unknown)
