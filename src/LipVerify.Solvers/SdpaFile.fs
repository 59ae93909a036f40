/// Semidefinite programs as SDPA sparse files, and the solutions that CSDP writes.
module LipVerify.Solvers.SdpaFile

open System
open System.Globalization
open System.IO
open LipVerify.Core.Bounds.Polynomials

let private number (value: float) =
    value.ToString("R", CultureInfo.InvariantCulture)

/// Writes `max ⟨C, M⟩` with `⟨A_k, M⟩ (+ s_k) = a_k`; the slacks `s_k ≥ 0` of inequalities are a last, diagonal block.
let write (writer: TextWriter) (program: SemidefiniteProgram) =
    let slacks = program.Constraints |> Array.filter _.AtMost |> Array.length

    let sides =
        [
            yield! program.Sides |> Seq.map string
            if slacks > 0 then
                string -slacks
        ]

    let line (text: string) = writer.Write(text + "\n")

    let entries matrix (entries: MatrixEntry list) =
        for entry in entries do
            line $"{matrix} {entry.Block + 1} {entry.Row + 1} {entry.Column + 1} {number entry.Value}"

    line (string program.Constraints.Length)
    line (string sides.Length)
    line (String.concat " " sides)

    line (
        program.Constraints
        |> Array.map (fun row -> number row.Right)
        |> String.concat " "
    )

    entries 0 program.Objective
    let mutable slack = 0

    program.Constraints
    |> Array.iteri (fun k row ->
        entries (k + 1) row.Entries

        if row.AtMost then
            slack <- slack + 1
            line $"{k + 1} {sides.Length} {slack} {slack} 1")

/// The multipliers: the first line of a solution.
let readMultipliers (reader: TextReader) count =
    match reader.ReadLine() with
    | null -> Error "CSDP wrote an empty solution"
    | line ->
        let values =
            line.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            |> Array.choose (fun text ->
                match Double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture) with
                | true, value -> Some value
                | _ -> None)

        if values.Length = count then
            Ok values
        else
            Error $"CSDP wrote {values.Length} multipliers, not {count}"
