/// Comma-separated values as RFC 4180 has them.
module LipVerify.Cli.CsvText


let private special = [| ','; '"'; '\n'; '\r' |]

let private field (text: string) =
    if text.IndexOfAny special < 0 then
        text
    else
        "\"" + text.Replace("\"", "\"\"") + "\""

/// One line with its line break.
let line (fields: string list) =
    (fields |> List.map field |> String.concat ",") + "\n"
