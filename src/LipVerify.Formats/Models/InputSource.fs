/// From what a user names as input to a tensor: a file, or `zeros` or `random[?seed=N]`.
module LipVerify.Formats.InputSource

open System
open System.IO
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

let private random (shape: Shape) seed =
    Gaussian.draw seed 0 (Shape.size shape) |> Tensor.ofArray shape

/// What a reader may need to know: how many values there is use for, the shape that the network takes, and whether to scale.
type private Wanted =
    {
        Capacity: Capacity
        Shape: Shape
        Resize: int option
    }

/// Levels 0 … 255 divided by 255, of a picture that is scaled where that was asked for.
let private readPicture load wanted path =
    result {
        let! image = load path

        let! image =
            match wanted.Resize, wanted.Shape with
            | None, _ -> Ok image
            | Some shorter, [ _; height; width ] -> Photo.resize shorter (height, width) image
            | Some _, shape ->
                Error $"pictures are scaled for networks of channels × height × width, not of {Shape.text shape}"
            |> Result.mapError (LoadError.file path)

        let! levels = Image.toTensor path image
        return Tensor.map (fun level -> level / 255.0) levels
    }

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

/// The readers of pictures.
let private pictures: Map<string, Wanted -> string -> Result<Tensor, LoadError>> =
    Map
        [
            ".png", readPicture Png.load

            for extension in [ ".jpg"; ".jpeg"; ".webp"; ".bmp"; ".tif"; ".tiff" ] do
                extension, readPicture Photo.load
        ]

/// The readers of arrays. Text takes long to read, so that its reader learns how many values there is use for.
let private arrays: Map<string, Wanted -> string -> Result<Tensor, LoadError>> =
    Map
        [
            ".npy", (fun _ -> Npy.load)
            ".npz", (fun _ -> readNpz)
            ".csv", (fun wanted -> Csv.load wanted.Capacity)
        ]

let private extensionOf (path: string) =
    (string (Path.GetExtension path)).ToLowerInvariant()

/// Whether a file has the name of an input.
let private isInput path =
    let extension = extensionOf path
    pictures.ContainsKey extension || arrays.ContainsKey extension

/// The files that are inputs, for messages.
let kinds = "picture (.png, .jpg, .webp, .bmp, .tiff), .npy, .npz or .csv file"

let private read wanted (path: string) =
    let extension = extensionOf path

    match Map.tryFind extension pictures, Map.tryFind extension arrays with
    | Some reader, _ -> reader wanted path
    | None, Some _ when wanted.Resize.IsSome -> Error(LoadError.file path "only pictures can be scaled")
    | None, Some reader -> reader wanted path
    | None, None -> Error(LoadError.file path $"an input is a {kinds}, or zeros, or random[?seed=N]")

/// One input.
let private single (expected: Shape) =
    {
        Most = Shape.size expected
        Reason = $"and the network takes an input of {Shape.text expected}"
    }

/// The most inputs of a batch: half as many again as the usual sets for validation hold.
let private mostInputs = 100_000

/// The most values of a batch: one GiB of doubles.
let private mostValues = 1 <<< 27

let private batch (expected: Shape) =
    let size = Shape.size expected

    {
        Most = max size (int (min (int64 mostInputs * int64 size) (int64 mostValues)))
        Reason =
            $"the most for a batch: {mostInputs} inputs, each of {Shape.text expected} for this network, and {mostValues} values"
    }

let private wantedBy capacity expected (preprocessing: Preprocessing) =
    {
        Capacity = capacity expected
        Shape = expected
        Resize = preprocessing.Resize
    }

/// Equal shapes, or equal up to extents of 1, or one of them flat.
let private fits (expected: Shape) (shape: Shape) =
    let significant = List.filter (fun extent -> extent <> 1)
    let isFlat (shape: Shape) = (significant shape).Length <= 1

    significant shape = significant expected
    || (Shape.size shape = Shape.size expected && (isFlat shape || isFlat expected))

/// The values of a file in the shape that the network takes.
let private fit path (expected: Shape) (tensor: Tensor) =
    if not (fits expected tensor.Shape) then
        let hint =
            match expected with
            | [ _; _; _ ] when pictures.ContainsKey(extensionOf path) ->
                "; --resize N scales a picture and cuts out its middle"
            | _ -> ""

        Error(
            LoadError.file
                path
                $"the network takes an input of {Shape.text expected}, but this one is {Shape.text tensor.Shape}{hint}"
        )
    elif not (Tensor.isFinite tensor) then
        Error(LoadError.file path "the input holds values that are NaN or infinite")
    else
        Ok(Tensor.reshape expected tensor)

/// True for names that stand for data without a file.
let private isGenerated (source: string) =
    source.StartsWith("zeros?", StringComparison.Ordinal)
    || source.StartsWith("random?", StringComparison.Ordinal)

/// Whether a name stands for values that are taken as they are: `zeros`, `random` or `random?seed=N`.
let isMade (source: string) =
    match SeedSuffix.parse source with
    | Ok(("zeros" | "random"), _) -> not (Directory.Exists source || File.Exists source)
    | _ -> false

/// The nominal input for a network with inputs of shape `expected`. Files are preprocessed; `zeros` and `random`
/// (standard normal values) are taken as they are.
let load (expected: Shape) preprocessing (source: string) : Result<Tensor, LoadError> =
    match SeedSuffix.parse source with
    | Ok("zeros", _) -> Ok(Tensor.create expected 0.0)
    | Ok("random", seed) -> Ok(random expected seed)
    | Error problem when isGenerated source -> Error(LoadError.file source problem)
    | _ ->
        result {
            let! tensor = read (wantedBy single expected preprocessing) source

            let! normalised =
                Preprocessing.apply preprocessing tensor
                |> Result.mapError (LoadError.file source)

            return! fit source expected normalised
        }

/// An input among several: its name, and its values or why there are none.
[<ReferenceEquality>]
type NamedInput =
    {
        /// The file, with the array and the position in a batch where it holds several.
        Name: string
        /// The preprocessed values.
        Values: Result<Tensor, LoadError>
    }

/// What a name of inputs stands for.
[<ReferenceEquality>]
type Inputs =
    /// One input.
    | One of Tensor
    /// A folder of files, or a file with a batch: each input by itself may have failed to load. Files that are no inputs are skipped.
    | Several of inputs: NamedInput list * skipped: string list

/// An array as one input where its shape is that of the network's, else as a batch along its first extent.
let private unbatch expected preprocessing path name (tensor: Tensor) : NamedInput list =
    let one name (tensor: Tensor) =
        {
            Name = name
            Values =
                Preprocessing.apply preprocessing tensor
                |> Result.mapError (LoadError.file path)
                |> Result.bind (fit path expected)
        }

    match tensor.Shape with
    | count :: rest when count > mostInputs && not (fits expected tensor.Shape) && fits expected rest ->
        [
            {
                Name = name
                Values =
                    Error(LoadError.file path $"a batch of {count} inputs; at most {mostInputs} are taken, so split it")
            }
        ]
    | count :: rest when not (fits expected tensor.Shape) && fits expected rest ->
        let values, size = Tensor.values tensor, Shape.size rest

        List.init count (fun i -> one $"{name}[{i}]" (Tensor.ofArray rest values[i * size .. (i + 1) * size - 1]))
    | _ -> [ one name tensor ]

/// The inputs in a file: an archive or an array may hold several.
let private inFile expected preprocessing (path: string) : NamedInput list =
    let arrays =
        if extensionOf path = ".npz" then
            Npz.load path
            |> Result.map (function
                | [| _, tensor |] -> [| path, tensor |]
                | arrays -> arrays |> Array.map (fun (name, tensor) -> $"{path}:{name}", tensor))
        else
            read (wantedBy batch expected preprocessing) path
            |> Result.map (fun tensor -> [| path, tensor |])

    match arrays with
    | Error error -> [ { Name = path; Values = Error error } ]
    | Ok arrays ->
        arrays
        |> List.ofArray
        |> List.collect (fun (name, tensor) -> unbatch expected preprocessing path name tensor)

let private inFolder expected preprocessing (folder: string) =
    try
        let files =
            Directory.GetFiles folder
            |> Array.sortWith (fun a b -> String.CompareOrdinal(a, b))
            |> List.ofArray

        let inputs, skipped = files |> List.partition isInput

        if inputs.IsEmpty then
            Error(LoadError.file folder $"the folder holds no {kinds}")
        else
            Ok(Several(inputs |> List.collect (inFile expected preprocessing), skipped))
    with
    | :? IOException
    | :? UnauthorizedAccessException as failure -> Error(LoadError.file folder failure.Message)

/// The inputs that a name stands for: as `load`, and besides a folder of input files, and files with a batch of inputs along a
/// leading extent (.npy, .csv) or several arrays (.npz).
let loadAll (expected: Shape) preprocessing (source: string) : Result<Inputs, LoadError> =
    if Directory.Exists source then
        inFolder expected preprocessing source
    elif File.Exists source then
        match inFile expected preprocessing source with
        | [ single ] -> single.Values |> Result.map One
        | several -> Ok(Several(several, []))
    else
        load expected preprocessing source |> Result.map One
