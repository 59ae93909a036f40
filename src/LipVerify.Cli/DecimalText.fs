/// Numbers of the command line as doubles. What is positive must not become 0, nor what is finite infinite.
module LipVerify.Cli.DecimalText

open System
open System.Globalization

/// Whether a number that was read as 0 is another: one of its digits is not 0.
let private hasValue (text: string) =
    let mantissa = (text.Split([| 'e'; 'E' |], 2))[0]
    mantissa |> Seq.exists (fun c -> c >= '1' && c <= '9')

let private hasDigits (text: string) = text |> Seq.exists Char.IsAsciiDigit

/// The double next to a decimal number, or what the text would have to be.
let parse (text: string) : Result<float, string> =
    match Double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture) with
    | true, 0.0 when hasValue text -> Error "0 or a number that a double can hold, at least 5E-324"
    | true, value when Double.IsInfinity value && hasDigits text ->
        Error "a number that a double can hold, below 1.8E+308"
    | true, value -> Ok value
    | _ -> Error "a number"
