/// Progress of long work on standard error: a line that overwrites itself on a terminal, occasional lines elsewhere.
module LipVerify.Cli.Progress

open System
open System.Diagnostics

/// Work that ends sooner than this prints no progress.
let private patience = TimeSpan.FromSeconds 1.0

/// Between lines where standard error is not a terminal.
let private pause = TimeSpan.FromSeconds 10.0

/// A sink for progress lines and a function that clears what it drew.
let create () =
    let clock = Stopwatch.StartNew()
    let interactive = not Console.IsErrorRedirected
    let mutable drawn = 0
    let mutable last = TimeSpan.Zero

    let draw (text: string) =
        let line = $"{clock.Elapsed.TotalSeconds, 6:F0} s  {text}"
        let line = if line.Length > 100 then line.Substring(0, 100) else line

        if interactive then
            Console.Error.Write("\r" + line.PadRight drawn)
            drawn <- line.Length
        else
            Console.Error.WriteLine line

    let report text =
        let now = clock.Elapsed

        if now > patience && (interactive || now - last > pause) then
            last <- now
            draw text

    let clear () =
        if drawn > 0 then
            Console.Error.Write("\r" + String(' ', drawn) + "\r")
            drawn <- 0

    struct (report, clear)
