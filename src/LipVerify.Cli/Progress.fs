/// What the process says on standard error: notices, how it ended, and progress of long work. Progress is a line that
/// overwrites itself on a terminal, and an occasional line elsewhere.
module LipVerify.Cli.Progress

open System
open System.Diagnostics
open System.Threading
open LipVerify.Core.Numbers

/// Work that ends sooner than this prints no progress.
let private patience = TimeSpan.FromSeconds 1.0

/// Between lines where standard error is not a terminal.
let private pause = TimeSpan.FromSeconds 10.0

/// Between redraws on a terminal.
let private beat = TimeSpan.FromSeconds 0.5

/// Standard error is one for the process, and so is what was drawn on it.
let private console = obj ()

let mutable private drawn = 0

/// Control characters of a file's content must not reach a terminal.
let private oneLine (text: string) =
    text.ReplaceLineEndings " "
    |> String.map (fun c -> if Char.IsControl c then '?' else c)

/// Where standard error is closed there is nobody to tell.
let private write (text: string) =
    try
        Console.Error.Write text
    with
    | :? IO.IOException
    | :? UnauthorizedAccessException -> ()

let private erase () =
    if drawn > 0 then
        write ("\r" + String(' ', drawn) + "\r")
        drawn <- 0

/// The width of the terminal less one column, so that the cursor stays on the line.
let private columns () =
    try
        if Console.WindowWidth > 1 then
            min 100 (Console.WindowWidth - 1)
        else
            79
    with :? IO.IOException ->
        79

let private overwrite (line: string) =
    let width = columns ()

    let line =
        if line.Length > width then
            line.Substring(0, width)
        else
            line

    write ("\r" + line.PadRight drawn)
    drawn <- line.Length

/// One line of its own.
let say (text: string) =
    lock console (fun () ->
        erase ()
        write ("lipverify: " + oneLine text + "\n"))

/// Runs `work` with a sink for its progress lines.
let during (work: (string -> unit) -> 'a) : 'a =
    let clock = Stopwatch.StartNew()
    let interactive = not Console.IsErrorRedirected
    let mutable text = ""
    let mutable last = TimeSpan.Zero
    let mutable ended = false

    let draw () =
        let line = $"{Figure.decimals 0 clock.Elapsed.TotalSeconds, 6} s  {text}"

        if interactive then overwrite line else write (line + "\n")

        last <- clock.Elapsed

    // A single step may be long: the clock on the line shows that work goes on.
    let redraw _ =
        lock console (fun () ->
            if not ended && text <> "" && clock.Elapsed > patience then
                draw ())

    let report line =
        lock console (fun () ->
            text <- oneLine line

            if clock.Elapsed > patience && not interactive && clock.Elapsed - last > pause then
                draw ())

    use _ =
        if interactive then
            new Timer(redraw, null, patience, beat)
        else
            new Timer(redraw, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan)

    try
        work report
    finally
        lock console (fun () ->
            ended <- true
            erase ())

/// A time span in words, to the unit that matters.
let duration (seconds: float) =
    if seconds < 90.0 then
        $"{Figure.decimals 0 seconds} s"
    elif seconds < 5400.0 then
        $"{Figure.decimals 0 (seconds / 60.0)} min"
    else
        $"{Figure.decimals 1 (seconds / 3600.0)} h"

/// How much of the work is done: a bar on a terminal, a percentage elsewhere.
let bar (finished: int) (total: int) =
    let cells = 20
    let share = float finished / float (max 1 total)

    if Console.IsErrorRedirected then
        $"{Figure.decimals 0 (100.0 * share)} %%"
    else
        let filled = int (Math.Floor(share * float cells))
        "[" + String('#', filled) + String('.', cells - filled) + "]"
