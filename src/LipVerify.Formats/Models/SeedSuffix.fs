/// The suffix `?seed=N` of names that stand for random data.
module internal LipVerify.Formats.SeedSuffix

open System

/// Splits `name?seed=N` into the name and the seed, 0 where there is none.
let parse (text: string) : Result<string * int, string> =
    match text.Split('?', 2) with
    | [| name |] -> Ok(name, 0)
    | [| name; suffix |] ->
        match suffix.Split('=', 2) with
        | [| "seed"; number |] ->
            match Int32.TryParse number with
            | true, seed when seed >= 0 -> Ok(name, seed)
            | _ -> Error $"the seed in \"{text}\" must be an integer that is not negative"
        | _ -> Error $"\"?{suffix}\" is not understood; only ?seed=N may follow"
    | _ -> Ok(text, 0)
