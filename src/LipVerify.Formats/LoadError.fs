namespace LipVerify.Formats

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

    /// `file: place: problem` on one line, free of control characters that a hostile file may carry, and of bounded length.
    let text error =
        let parts =
            [ error.File; error.Place; error.Problem ]
            |> List.filter (fun part -> part <> "")

        let line =
            String.concat ": " parts
            |> String.map (fun c -> if System.Char.IsControl c then '?' else c)

        if line.Length > 1000 then
            line.Substring(0, 1000) + "…"
        else
            line
