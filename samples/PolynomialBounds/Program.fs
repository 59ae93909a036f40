// Regenerates the tables and figures of docs/polynomial-bounds.md. Run it with:
// dotnet run -c Release --project samples/PolynomialBounds -- FOLDER [constants|certified]

open System.IO
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Samples.PolynomialBounds
open LipVerify.Solvers

let private experiments =
    [
        "constants", LipschitzExperiment.run
        "certified", CertificationExperiment.run
    ]

let private run folder chosen =
    Directory.CreateDirectory folder |> ignore
    let context = Context.create (Engines.Create("auto", 0))

    for _, experiment in chosen do
        experiment context folder

    0

[<EntryPoint>]
let main arguments =
    match List.ofArray arguments with
    | _ when not (Csdp.isInstalled ()) ->
        eprintfn "CSDP is missing: install the Debian package coinor-csdp"
        2
    | [] -> run "polynomial-bounds" experiments
    | [ folder ] -> run folder experiments
    | [ folder; name ] when experiments |> List.exists (fun (known, _) -> known = name) ->
        run folder (experiments |> List.filter (fun (known, _) -> known = name))
    | _ ->
        eprintfn "usage: dotnet run -c Release --project samples/PolynomialBounds -- FOLDER [constants|certified]"
        2
