/// Activations to a hundred decimal digits, in whole numbers of 2^-400: what their enclosures are held against. Nothing here is shared with the code under test.
module LipVerify.Propositions.ManyDigits

open System
open System.Numerics

let private bits = 400

let private one = BigInteger.One <<< bits

/// A fixed-point number.
[<Struct; CustomEquality; CustomComparison>]
type Digits =
    | Digits of BigInteger

    member digits.Raw =
        let (Digits raw) = digits
        raw

    override digits.Equals other =
        match other with
        | :? Digits as other -> digits.Raw = other.Raw
        | _ -> false

    override digits.GetHashCode() = digits.Raw.GetHashCode()

    interface IComparable with
        member digits.CompareTo other =
            let (Digits raw) = other :?> Digits
            compare digits.Raw raw

    static member (+)(Digits a, Digits b) = Digits(a + b)
    static member (-)(Digits a, Digits b) = Digits(a - b)
    static member (~-)(Digits a) = Digits(-a)
    static member (*)(Digits a, Digits b) = Digits((a * b) >>> bits)
    static member (/)(Digits a, Digits b) = Digits((a <<< bits) / b)

/// A double, exactly where it has no bits below 2^-400.
let ofFloat (x: float) =
    let raw = BitConverter.DoubleToInt64Bits x
    let exponent = int ((raw >>> 52) &&& 0x7FFL)
    let fraction = raw &&& 0xFFFFFFFFFFFFFL

    let mantissa, exponent =
        if exponent = 0 then
            fraction, -1074
        else
            fraction ||| 0x10000000000000L, exponent - 1075

    let size = BigInteger mantissa
    let shift = exponent + bits
    let size = if shift >= 0 then size <<< shift else size >>> -shift
    Digits(if x < 0.0 then -size else size)

let ofInt (n: int) = Digits(BigInteger n * one)

let private abs' (Digits a) = Digits(BigInteger.Abs a)

/// The terms `next` makes of the last one and its number, until they vanish.
let private series (first: Digits) (next: int -> Digits -> Digits) =
    let mutable term = first
    let mutable sum = first
    let mutable n = 1

    while not term.Raw.IsZero do
        term <- next n term
        sum <- sum + term
        n <- n + 1

    sum

let exp (x: Digits) : Digits =
    // e^x = (e^(x/2^k))^(2^k); the loss of k squarings is far below the digits.
    let halvings = 40
    let small = Digits(x.Raw >>> halvings)
    let mutable power = series (ofInt 1) (fun n term -> term * small / ofInt n)

    for _ in 1..halvings do
        power <- power * power

    power

/// By Newton's method on `e^y = x`.
let log (x: Digits) =
    let start = Math.Log(float (x.Raw >>> (bits - 60)) / Math.ScaleB(1.0, 60))
    let mutable y = ofFloat start

    for _ in 1..6 do
        let e = exp y
        y <- y + ofInt 2 * (x - e) / (x + e)

    y

let private sqrt' (x: Digits) =
    let mutable root =
        ofFloat (Math.Sqrt(float (x.Raw >>> (bits - 60)) / Math.ScaleB(1.0, 60)))

    for _ in 1..6 do
        root <- (root + x / root) / ofInt 2

    root

/// By Machin's formula.
let private pi =
    let arctanInverse n =
        let square = ofInt (n * n)
        let mutable power = ofInt 1 / ofInt n
        let mutable sum = power
        let mutable k = 1

        while not power.Raw.IsZero do
            power <- -(power / square)
            sum <- sum + power / ofInt (2 * k + 1)
            k <- k + 1

        sum

    ofInt 4 * (ofInt 4 * arctanInverse 5 - arctanInverse 239)

let logistic x =
    if (x: Digits).Raw.Sign >= 0 then
        ofInt 1 / (ofInt 1 + exp (-x))
    else
        let e = exp x
        e / (ofInt 1 + e)

let tanh x =
    let e = exp (-(ofInt 2 * abs' x))
    let size = (ofInt 1 - e) / (ofInt 1 + e)
    if (x: Digits).Raw.Sign < 0 then -size else size

let softplus x = log (ofInt 1 + exp x)

/// The Taylor series, whose terms grow to `e^(x²)`: for `x` below 8.
let erf (x: Digits) =
    let square = x * x
    let mutable power = x
    let mutable sum = x
    let mutable n = 1

    while not power.Raw.IsZero do
        power <- -(power * square / ofInt n)
        sum <- sum + power / ofInt (2 * n + 1)
        n <- n + 1

    ofInt 2 * sum / sqrt' pi

let private half = ofInt 1 / ofInt 2

let private clamp low high x = min high (max low x)

/// What each activation is, by its name: with values at given doubles.
let activations: (string * (Digits -> Digits)) list =
    let zero, one = ofInt 0, ofInt 1

    let exponentialBelow (gain: float) (amplitude: float) (scale: float) x =
        if (x: Digits).Raw.Sign >= 0 then
            ofFloat gain * x
        else
            ofFloat gain * ofFloat amplitude * (exp (x / ofFloat scale) - one)

    [
        "relu", max zero
        "leaky_relu(0.01)", (fun x -> if x.Raw.Sign >= 0 then x else ofFloat 0.01 * x)
        "leaky_relu(-0.5)", (fun x -> if x.Raw.Sign >= 0 then x else ofFloat -0.5 * x)
        "leaky_relu(1.5)", (fun x -> if x.Raw.Sign >= 0 then x else ofFloat 1.5 * x)
        "abs", abs'
        "relu6", clamp zero (ofInt 6)
        "clip(-0.5, 0.75)", clamp (ofFloat -0.5) (ofFloat 0.75)
        "hard_sigmoid(0.2, 0.5)", (fun x -> ofFloat 0.2 * x + ofFloat 0.5 |> clamp zero one)
        "hard_swish", (fun x -> x * clamp zero one (x / ofInt 6 + half))
        "hard_swish(1, 3, 6)", (fun x -> x * clamp zero (ofInt 6) (x + ofInt 3))
        "hard_swish(0.16, 0.45, 0.9)", (fun x -> x * clamp zero (ofFloat 0.9) (ofFloat 0.16 * x + ofFloat 0.45))
        "elu(1)", exponentialBelow 1.0 1.0 1.0
        "elu(1.7)", exponentialBelow 1.0 1.7 1.0
        "elu(0.3)", exponentialBelow 1.0 0.3 1.0
        "elu(1.0000000000000002)", exponentialBelow 1.0 1.0000000000000002 1.0
        "selu", exponentialBelow 1.0507009873554805 1.6732632423543772 1.0
        "celu(0.5)", exponentialBelow 1.0 0.5 0.5
        "sigmoid", logistic
        "tanh", tanh
        "erf", erf
        "softplus", softplus
        "softsign", (fun x -> x / (one + abs' x))
        "silu", (fun x -> x * logistic x)
        "gelu", (fun x -> x * half * (one + erf (x / sqrt' (ofInt 2))))
        "gelu_erf(1.4142135381698608)", (fun x -> x * (one + erf (x / ofFloat 1.4142135381698608)))
        "gelu_tanh",
        (fun x ->
            let z = sqrt' (ofInt 2 / pi) * (x + ofFloat 0.044715 * x * x * x)
            x * half * (one + tanh z))
        "mish", (fun x -> x * tanh (softplus x))
    ]
