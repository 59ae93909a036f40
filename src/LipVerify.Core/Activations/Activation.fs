namespace LipVerify.Core.Activations

open LipVerify.Compute
open LipVerify.Core.Numbers

/// Linear lower and upper functions of an increment: for the increments `δ` of an excursion, that of the activation lies between
/// `LowerSlope·δ − LowerDrop` and `UpperSlope·δ + UpperLift`. Drops and lifts are not negative.
[<Struct>]
type Lines =
    {
        /// The slope of the lower function.
        LowerSlope: float
        /// How far it is below 0 at no increment.
        LowerDrop: float
        /// The slope of the upper function.
        UpperSlope: float
        /// How far it is above 0 at no increment.
        UpperLift: float
    }

/// A scalar activation `σ`, and all that bounds ask of it (METHODS section 16). Every answer is enclosed, rounded outward; a pre-activation
/// that is not known is infinite.
[<ReferenceEquality; NoComparison>]
type Activation =
    {
        /// The word for it in reports, with its parameters: `relu`, `leaky_relu(0.01)`, ….
        Name: string
        /// `σ(y)`, computed.
        Value: float -> float
        /// `σ(y)` with a bound on its error, for a computed `y` with such a bound.
        Enclose: float -> float -> struct (float * float)
        /// A slope of a piece next to `y`, computed.
        Slope: float -> float
        /// The slopes between any two pre-activations.
        Global: SlopeInterval
        /// The slopes between the nominal value and any other (`Nominal`), or between any two values (`Uniform`).
        Slopes: Definition -> Excursion -> SlopeInterval
        /// The slope, where the whole excursion has a single one.
        Settled: Excursion -> float voption
        /// The slopes for pre-activations within the given reach of `[low, high]`, and the largest reach for which they are these; infinite
        /// where no reach matters.
        SlopesWithin: Definition -> float -> float -> float -> struct (SlopeInterval * float)
        /// How far `σ(y)` can fall below, and rise above, its nominal value.
        Deviations: Excursion -> struct (float * float)
        /// Linear functions below and above.
        Lines: Excursion -> Lines
        /// `σ(y + Δ) − σ(y)` for `y` and `Δ` in intervals.
        Change: Interval -> Interval -> Interval
        /// `lim (σ(y + tΔ) − σ(y))/t` for `t ↓ 0`.
        Derivative: Interval -> Interval -> Interval
        /// Whether `σ` may be bent, not smooth, somewhere in an interval of pre-activations.
        MayBreak: Interval -> bool
        /// Whether it never falls.
        IsNondecreasing: bool
        /// Whether it is `max(y, 0)`: some methods are there for no other.
        IsRelu: bool
    }

/// The activation of each entry of a tensor.
[<ReferenceEquality; NoComparison>]
type EntryActivations =
    private
        {
            Kinds: Activation[]
            /// Which of them each entry has; empty where there is one.
            Choice: int[]
        }

    /// That of an entry.
    member entries.Item
        with get i =
            if entries.Choice.Length = 0 then
                entries.Kinds[0]
            else
                entries.Kinds[entries.Choice[i]]

    /// The one that all entries have, where that is so.
    member entries.Only =
        if entries.Kinds.Length = 1 then
            Some entries.Kinds[0]
        else
            None

    /// Whether all entries are `max(y, 0)`.
    member entries.IsRelu = entries.Kinds |> Array.forall _.IsRelu

    /// The number of entries; none where it fits any tensor.
    member entries.Size =
        if entries.Choice.Length = 0 then
            None
        else
            Some entries.Choice.Length

    /// The words for the activations that entries have.
    member entries.Names = entries.Kinds |> Array.map _.Name

    /// Which of them each entry has; empty where there is one.
    member entries.Choices = entries.Choice

    /// What was learnt: one slope for each kind where entries differ.
    member entries.Parameters =
        if entries.Choice.Length = 0 then
            0
        else
            entries.Kinds.Length

    /// The word in reports.
    member entries.Name =
        match entries.Only with
        | Some only -> only.Name
        | None ->
            let words =
                entries.Kinds
                |> Array.map (fun kind -> (kind.Name.Split '(')[0])
                |> Array.distinct

            String.concat "/" words

    /// The slopes between any two pre-activations of any entry.
    member entries.Global =
        {
            Lower = entries.Kinds |> Array.map _.Global.Lower |> Array.min
            Upper = entries.Kinds |> Array.map _.Global.Upper |> Array.max
        }

module EntryActivations =

    /// The same for all entries.
    let all activation =
        {
            Kinds = [| activation |]
            Choice = [||]
        }

    /// One of several, by its position, for each entry.
    let chosen (kinds: Activation[]) (choice: int[]) =
        if Array.exists (fun k -> k < 0 || k >= kinds.Length) choice then
            invalidArg (nameof choice) "an entry has no activation"
        elif kinds.Length = 1 then
            all kinds[0]
        else
            { Kinds = kinds; Choice = choice }

    /// Whether the largest of several values is that of the largest pre-activation.
    let passMaxima (entries: EntryActivations) =
        match entries.Only with
        | Some only -> only.IsNondecreasing
        | None -> false

    /// Values of a batch of tensors, entry by entry.
    let values (entries: EntryActivations) (x: float[]) batch : Storage =
        let size = x.Length / max 1 batch
        HostStorage(Array.Parallel.init x.Length (fun i -> entries[i % size].Value x[i]))
