/// Ctrl-C: asks the work to end at its next step, and ends the process where that takes too long.
module LipVerify.Cli.Interruption

open System
open System.Threading

/// Exit code of a process that Ctrl-C ended, as shells expect it.
let exitCode = 130

/// A step of the engine, or reading a large file, may last longer than a user waits.
let private grace = TimeSpan.FromSeconds 1.0

let private source = new CancellationTokenSource()

let private gate = obj ()

let mutable private isTold = false

let mutable private lastWords: unit -> unit = ignore

/// Runs `work`; where Ctrl-C ends it, `words` hand out what is finished by then, once, on whichever thread ends the process.
let withLastWords (words: unit -> unit) (work: unit -> 'a) : 'a =
    lock gate (fun () -> lastWords <- words)
    let result = work ()
    lock gate (fun () -> lastWords <- ignore)
    result

/// Says once that the work was cancelled, behind the last words of the work. Whoever comes second waits for them.
let tell () =
    lock gate (fun () ->
        if not isTold then
            isTold <- true
            lastWords ()
            Progress.say "cancelled")

// The runtime calls this on a thread of its own, which may wait. Files are written whole or not at all, so that the
// process may end anywhere. A second Ctrl-C does not wait.
let private interrupt (event: ConsoleCancelEventArgs) =
    event.Cancel <- true

    if not source.IsCancellationRequested then
        source.Cancel()
        Thread.Sleep grace

    tell ()
    Environment.Exit exitCode

let private listening =
    lazy (Console.CancelKeyPress.AddHandler(ConsoleCancelEventHandler(fun _ event -> interrupt event)))

/// The token that Ctrl-C cancels, from the first call on.
let token () =
    listening.Force()
    source.Token
