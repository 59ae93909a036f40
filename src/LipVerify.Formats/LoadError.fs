namespace LipVerify.Formats

open System

/// Why a file could not be used: one line that names the file, the place inside it, what is wrong and what would be right.
type LoadError =
    {
        /// Path of the file as the user gave it.
        File: string
        /// The place inside the file (tensor, node, layer, byte offset), or "" for the file as a whole.
        Place: string
        /// What is wrong, and what would be right.
        Problem: string
    }

module LoadError =

    /// An error about a place inside a file.
    let at file place problem =
        {
            File = file
            Place = place
            Problem = problem
        }

    /// An error about a file as a whole.
    let file file problem = at file "" problem

    /// Names of files and tensors may be long, and what is wrong must not be cut off for their sake.
    let private clip limit (part: string) =
        if part.Length > limit then
            part.Substring(0, limit) + "…"
        else
            part

    /// Control characters and line breaks, which a hostile file may carry.
    let private isUnprintable (c: char) =
        Char.IsControl c || c = '\u2028' || c = '\u2029'

    /// `file: place: problem` on one line of bounded length.
    let text error =
        [ clip 400 error.File; clip 200 error.Place; clip 400 error.Problem ]
        |> List.filter (fun part -> part <> "")
        |> String.concat ": "
        |> String.map (fun c -> if isUnprintable c then '?' else c)
