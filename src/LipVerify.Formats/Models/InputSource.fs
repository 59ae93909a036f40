/// From what a user names as input to a tensor: a file, or `zeros` or `random[?seed=N]`.
module LipVerify.Formats.InputSource

open System
open System.IO
open LipVerify.Core

let private random (shape: Shape) seed =
    Gaussian.draw seed 0 (Shape.size shape) |> Tensor.ofArray shape

/// Grey levels 0 … 255 divided by 255.
let private readPng path =
    Png.loadTensor path |> Result.map (Tensor.map (fun level -> level / 255.0))

/// The only array of an archive.
let private readNpz path =
    Npz.load path
    |> Result.bind (function
        | [| _, tensor |] -> Ok tensor
        | arrays ->
            let names = arrays |> Array.map fst |> String.concat ", "

            Error(
                LoadError.file path $"an input archive must hold one array, but this one holds {arrays.Length}: {names}"
            ))

let private readers =
    Map [ ".png", readPng; ".npy", Npy.load; ".npz", readNpz; ".csv", Csv.load ]

let private read (path: string) =
    let extension = (string (Path.GetExtension path)).ToLowerInvariant()

    match Map.tryFind extension readers with
    | Some reader -> reader path
    | None -> Error(LoadError.file path "an input is a .png, .npy, .npz or .csv file, or zeros, or random[?seed=N]")

/// The values of a file in the shape that the network takes: equal, or equal up to extents of 1, or flat.
let private fit path (expected: Shape) (tensor: Tensor) =
    let significant = List.filter (fun extent -> extent <> 1)
    let isFlat (shape: Shape) = (significant shape).Length <= 1

    let fits =
        significant tensor.Shape = significant expected
        || (tensor.Length = Shape.size expected && (isFlat tensor.Shape || isFlat expected))

    if not fits then
        Error(
            LoadError.file
                path
                $"the network takes an input of {Shape.text expected}, but this one is {Shape.text tensor.Shape}"
        )
    elif not (Tensor.isFinite tensor) then
        Error(LoadError.file path "the input holds values that are NaN or infinite")
    else
        Ok(Tensor.reshape expected tensor)

/// True for names that stand for data without a file.
let private isGenerated (source: string) =
    source.StartsWith("zeros?", StringComparison.Ordinal)
    || source.StartsWith("random?", StringComparison.Ordinal)

/// The nominal input for a network with inputs of shape `expected`. Files are preprocessed; `zeros` and `random`
/// (standard normal values) are taken as they are.
let load (expected: Shape) preprocessing (source: string) : Result<Tensor, LoadError> =
    match SeedSuffix.parse source with
    | Ok("zeros", _) -> Ok(Tensor.create expected 0.0)
    | Ok("random", seed) -> Ok(random expected seed)
    | Error problem when isGenerated source -> Error(LoadError.file source problem)
    | _ ->
        result {
            let! tensor = read source

            let! normalised =
                Preprocessing.apply preprocessing tensor
                |> Result.mapError (LoadError.file source)

            return! fit source expected normalised
        }
