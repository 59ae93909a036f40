namespace LipVerify.Formats.OnnxGraph

open System
open LipVerify.Core.Computation
open LipVerify.Formats

/// Operators between constants, as every runtime computes them before it sees an input: in the element type, each result
/// rounded to the nearest number of that type.
module internal ConstantArithmetic =

    let private name element =
        match element with
        | ElementType.Float32 -> "FLOAT"
        | ElementType.Float64 -> "DOUBLE"
        | other -> (string other).ToUpperInvariant()

    /// The digits of the significand, the exponent of the least normal number, and that of the first power of two beyond the range.
    let private format element =
        match element with
        | ElementType.Float32 -> 24, -126, 128
        | ElementType.Float16 -> 11, -14, 16
        | ElementType.BFloat16 -> 8, -126, 128
        | _ -> 53, -1022, 1024

    /// The number of a real type that is nearest to `value`, ties to even; infinite beyond the range of the type. A sum, product,
    /// quotient or root of two numbers of a smaller type that was rounded to double before gives what one rounding would: double has
    /// more than twice their digits.
    let round element (value: float) =
        let digits, least, beyond = format element

        if element = ElementType.Float64 || value = 0.0 || not (Double.IsFinite value) then
            value
        else
            // Exact: powers of two, and an integer below 2²⁵.
            let unit = max (Math.ILogB value) least - digits + 1

            let rounded =
                Math.ScaleB(Math.Round(Math.ScaleB(value, -unit), MidpointRounding.ToEven), unit)

            if abs rounded >= Math.ScaleB(1.0, beyond) then
                Math.CopySign(Double.PositiveInfinity, value)
            else
                rounded

    let private finite element (values: float[]) =
        match values |> Array.tryFindIndex (Double.IsFinite >> not) with
        | Some position ->
            Error
                $"makes the value at position {position} infinite or NaN in {name element}; constants that are not finite are not supported"
        | None -> Ok values

    let private ofReals element shape values =
        finite element values
        |> Result.map (fun values -> Reals(element, Tensor.ofArray shape values))

    // Runtimes go from double to a half by way of float, which may round twice.
    let private narrow source target (value: float) =
        let direct = round target value

        if
            source = ElementType.Float64
            && round target (round ElementType.Float32 value) <> direct
        then
            Error
                $"rounds {value} to {name target}, where runtimes that go by way of FLOAT differ; store the constant in {name target}"
        else
            Ok direct

    let private range element =
        if element = ElementType.Int32 then
            float Int32.MinValue, float Int32.MaxValue
        else
            // The largest double below 2⁶³.
            float Int64.MinValue, Math.BitDecrement(Math.ScaleB(1.0, 63))

    let private truncated target (value: float) =
        let low, high = range target
        let whole = Math.Truncate value

        if whole >= low && whole <= high then
            Ok(int64 whole)
        else
            Error $"casts {value} to {name target}, where it does not fit"

    let private fitting element (value: bigint) =
        let low, high =
            if element = ElementType.Int32 then
                bigint Int32.MinValue, bigint Int32.MaxValue
            else
                bigint Int64.MinValue, bigint Int64.MaxValue

        if value >= low && value <= high then
            Ok(int64 value)
        else
            Error $"makes {value}, which does not fit {name element}"

    let private isReal element =
        match element with
        | ElementType.Float64
        | ElementType.Float32
        | ElementType.Float16
        | ElementType.BFloat16 -> true
        | _ -> false

    /// An integer as a number of a real type, by way of float where that is a half.
    let private ofInteger target (value: int64) =
        if target = ElementType.Float64 then
            float value
        else
            round target (float (float32 value))

    /// Cast: to nearest between real types, towards zero to integers, and to BOOL whether a value is not 0.
    let cast target constant : Result<Constant, string> =
        let truth isTrue = if isTrue then 1L else 0L

        match constant with
        | Reals(source, tensor) when isReal target ->
            result {
                let! values = Tensor.values tensor |> traverse (narrow source target)
                return! ofReals target tensor.Shape values
            }
        | Reals(_, tensor) when target = ElementType.Bool ->
            let values = Tensor.values tensor |> Array.map (fun value -> truth (value <> 0.0))
            Ok(Integers(target, tensor.Shape, values))
        | Reals(_, tensor) ->
            Tensor.values tensor
            |> traverse (truncated target)
            |> Result.map (fun values -> Integers(target, tensor.Shape, values))
        | Integers(_, shape, values) when isReal target ->
            values |> Array.map (ofInteger target) |> ofReals target shape
        | Integers(_, shape, values) when target = ElementType.Bool ->
            Ok(Integers(target, shape, values |> Array.map (fun value -> truth (value <> 0L))))
        | Integers(_, shape, values) ->
            values
            |> traverse (bigint >> fitting target)
            |> Result.map (fun values -> Integers(target, shape, values))

    /// An operator of two numbers, for reals and for integers.
    [<NoEquality; NoComparison>]
    type Operation =
        {
            OfReals: float -> float -> float
            OfIntegers: bigint -> bigint -> Result<bigint, string>
        }

    let private exactly operation (a: bigint) (b: bigint) : Result<bigint, string> = Ok(operation a b)

    let add =
        {
            OfReals = (+)
            OfIntegers = exactly (+)
        }

    let subtract =
        {
            OfReals = (-)
            OfIntegers = exactly (-)
        }

    let multiply =
        {
            OfReals = (*)
            OfIntegers = exactly (*)
        }

    /// Integers are divided towards zero.
    let divide =
        {
            OfReals = (/)
            OfIntegers = fun a b -> if b.IsZero then Error "divides by 0" else Ok(a / b)
        }

    /// Both operands broadcast to their common shape.
    let private together (context: NodeContext) a b =
        match Constants.broadcastShape (Constants.shape a) (Constants.shape b) with
        | None ->
            Error
                $"combines shapes {Shape.text (Constants.shape a)} and {Shape.text (Constants.shape b)}, which do not broadcast"
        | Some shape ->
            result {
                let! shape = Extents.shape (List.map int64 shape)
                do! context.Charge(2L * int64 (Shape.size shape))
                return shape
            }

    /// `operation` entry by entry.
    let combine (context: NodeContext) operation a b : Result<Constant, string> =
        match a, b with
        | Reals(left, x), Reals(right, y) when left = right ->
            result {
                let! shape = together context a b

                return!
                    Array.map2
                        (fun x y -> round left (operation.OfReals x y))
                        (Constants.broadcast shape x)
                        (Constants.broadcast shape y)
                    |> ofReals left shape
            }
        | Integers(left, xShape, x), Integers(right, yShape, y) when left = right && left <> ElementType.Bool ->
            result {
                let! shape = together context a b

                let! values =
                    Array.map2
                        (fun x y -> operation.OfIntegers (bigint (x: int64)) (bigint (y: int64)))
                        (Constants.broadcastValues shape xShape x)
                        (Constants.broadcastValues shape yShape y)
                    |> traverse (Result.bind (fitting left))

                return Integers(left, shape, values)
            }
        | _ ->
            Error
                $"has constants of types {name (Constants.element a)} and {name (Constants.element b)}; numbers of one type are needed"

    /// A function of one real number, entry by entry.
    let map (context: NodeContext) (f: float -> float) constant : Result<Constant, string> =
        match constant with
        | Reals(element, tensor) ->
            result {
                do! context.Charge(int64 tensor.Length)

                return!
                    Tensor.values tensor
                    |> Array.map (f >> round element)
                    |> ofReals element tensor.Shape
            }
        | Integers(element, _, _) -> Error $"is supported on real numbers, not on {name element}"
