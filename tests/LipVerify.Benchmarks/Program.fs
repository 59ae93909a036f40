/// Runs the benchmarks that the command line of BenchmarkDotNet names.
module LipVerify.Benchmarks.Program

open BenchmarkDotNet.Running

[<EntryPoint>]
let main argv =
    BenchmarkSwitcher.FromAssembly(System.Reflection.Assembly.GetExecutingAssembly()).Run argv
    |> ignore

    0
