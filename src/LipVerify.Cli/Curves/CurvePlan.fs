namespace LipVerify.Cli

open System
open System.Globalization
open LipVerify.Core.Numbers
open LipVerify.Core.Enclosures
open LipVerify.Core.Methods

/// What a curve may show against the radius.
type CurveMethod =
    /// A method of the registry, by its name on the command line; `crown-` before it stands for slopes from linear functions.
    | UpperBound of name: string
    /// The largest slope that gradient ascent reaches.
    | GradientAscent
    /// The largest slope at random points.
    | RandomSampling

/// A value of one method at one radius, still to be computed.
type CurvePoint = { Radius: float; Method: CurveMethod }

/// The points of a curve, in the order in which they are computed: radius by radius, method by method.
type CurvePlan =
    {
        Radii: float list
        /// Whether the radii are evenly spread on a logarithmic scale rather than a linear one.
        LogRadii: bool
        Methods: CurveMethod list
        /// Points that sampling draws for each radius.
        Samples: int
        /// Searches of gradient ascent side by side; none for as many as suit the network.
        Starts: int option
    }

    member plan.Points =
        [
            for radius in plan.Radii do
                for method in plan.Methods -> { Radius = radius; Method = method }
        ]

module CurveMethod =

    /// Upper bounds on the whole constant in the 2-norm, by the name of their curve, with the enclosure that the name asks for.
    let private upper =
        [
            for method in BoundMethods.all do
                if
                    List.contains Euclidean method.Norms
                    && not method.Compared.IsEmpty
                    && not (BoundMethod.isOfOneOutput method)
                then
                    method.Name, (method, None)

                    if method.TakesEnclosure then
                        $"crown-{method.Name}", (method, Some Crown)
        ]

    let private lower = [ "gradient", GradientAscent; "sampling", RandomSampling ]

    /// The method of the registry behind an upper bound, with the enclosure that its name asks for.
    let registered method =
        match method with
        | UpperBound name -> upper |> List.tryFind (fun (known, _) -> known = name) |> Option.map snd
        | GradientAscent
        | RandomSampling -> None

    /// The methods of a curve for which none are named: those that take seconds on small networks.
    let usual =
        [
            UpperBound BoundMethods.globalProduct.Name
            UpperBound BoundMethods.analytic.Name
            GradientAscent
            RandomSampling
        ]

    /// The word for a method on the command line and in files.
    let name method =
        match method with
        | UpperBound name -> name
        | GradientAscent
        | RandomSampling -> lower |> List.find (fun (_, known) -> known = method) |> fst

    /// The method of this name.
    let tryFind name =
        if upper |> List.exists (fun (known, _) -> known = name) then
            Some(UpperBound name)
        else
            lower |> List.tryFind (fun (known, _) -> known = name) |> Option.map snd

    /// The names that there are.
    let names = List.map fst upper @ List.map fst lower |> String.concat ", "

    /// Whether a method of the registry, with the enclosure that was asked for, has this.
    let has (property: BoundMethod -> bool) method =
        registered method |> Option.exists (fst >> property)

    /// Whether the enclosure that was asked for gives it its slopes.
    let takesEnclosure method =
        match registered method with
        | Some(method, None) -> method.TakesEnclosure
        | _ -> false

    /// Whether it bounds all inputs, the same at every radius.
    let isConstant method =
        has (BoundMethod.takesBall >> not) method

    /// Which side of the constant a method's values lie on.
    let side method =
        match method with
        | UpperBound _ -> Upper
        | GradientAscent
        | RandomSampling -> Lower

module CurvePlan =

    /// More radii than any plot shows.
    let private most = 100_000

    let private number (text: string) =
        match DecimalText.parse text with
        | Ok value when Double.IsFinite value && value >= 0.0 -> Some value
        | _ -> None

    let private count (text: string) =
        match Int32.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture) with
        | true, count when count >= 2 && count <= most -> Some count
        | _ -> None

    let private spread first last count at =
        List.init count (fun i ->
            if i = 0 then first
            elif i = count - 1 then last
            else at (float i / float (count - 1)))
        |> List.distinct

    let private range (first: string) (last: string) (steps: string) logarithmic =
        match number first, number last, count steps with
        | None, _, _
        | _, None, _ -> Error "the ends must be finite numbers that are not negative and that doubles can hold"
        | _, _, None -> Error $"the number of radii must be an integer from 2 to {most}"
        | Some first, Some last, _ when first >= last -> Error "the first radius must be less than the last"
        | Some 0.0, _, _ when logarithmic -> Error "logarithmic steps cannot start at 0"
        | Some first, Some last, Some count when logarithmic ->
            Ok(spread first last count (fun s -> first * Math.Pow(last / first, s)), true)
        | Some first, Some last, Some count -> Ok(spread first last count (fun s -> first + (last - first) * s), false)

    /// Radii over two decades and more are shown on a logarithmic scale.
    let private isWide (radii: float list) =
        radii.Head > 0.0 && List.last radii >= 100.0 * radii.Head

    let private list (text: string) =
        let radii =
            text.Split ',' |> Array.map (fun part -> number (part.Trim())) |> List.ofArray

        if List.contains None radii then
            Error "each radius must be a finite number that is not negative and that a double can hold"
        else
            let radii = radii |> List.choose id |> List.distinct |> List.sort
            Ok(radii, isWide radii)

    /// Radii, ascending, and whether they are spread logarithmically: `A:B:N`, `A:B:N:log`, or numbers separated by commas.
    let radii (text: string) : Result<float list * bool, string> =
        match text.Split ':' with
        | [| values |] -> list values
        | [| first; last; steps |] -> range first last steps false
        | [| first; last; steps; "log" |] -> range first last steps true
        | _ -> Error "it is not of the form A:B:N, A:B:N:log or a list"
        |> Result.mapError (fun problem ->
            $"--radii \"{text}\": {problem}; use A:B:N, A:B:N:log or radii separated by commas")

    /// Methods by their names, separated by commas, each once.
    let methods (text: string) : Result<CurveMethod list, string> =
        let names = text.Split ',' |> Array.map _.Trim() |> List.ofArray

        match names |> List.tryFind (fun name -> (CurveMethod.tryFind name).IsNone) with
        | Some name -> Error $"--methods must be among {CurveMethod.names}, not \"{name}\""
        | None when (List.distinct names).Length < names.Length -> Error "--methods names a method more than once"
        | None -> Ok(names |> List.choose CurveMethod.tryFind)

/// A computed point of a curve.
type CurveRow =
    {
        Point: CurvePoint
        Value: float
        /// `certified`, `probabilistic`, `numerical` or `estimate`. A lower bound is `numerical`: attained, up to rounding.
        Rigor: string
        Seconds: float
    }

module CurveRow =

    /// The header of the CSV contract.
    let header = CsvText.line [ "radius"; "method"; "value"; "rigor"; "seconds" ]

    /// A row of the CSV contract.
    let line row =
        CsvText.line
            [
                Figure.exact row.Point.Radius
                CurveMethod.name row.Point.Method
                Figure.exact row.Value
                row.Rigor
                Figure.decimals 3 row.Seconds
            ]

    let private rigors =
        [ Certified; Probabilistic 0.0; Numerical; Estimate ]
        |> List.map (fun rigor -> Rigor.label rigor, rigor)
        |> Map.ofList

    /// The value of a row with the kind of its promise.
    let bound row : Bound =
        {
            Value = row.Value
            Rigor = rigors[row.Rigor]
        }

    /// The row that `line` wrote, without its line break.
    let tryParse (text: string) =
        match text.Split ',' with
        | [| radius; method; value; rigor; seconds |] when rigors.ContainsKey rigor ->
            match
                Figure.tryParse radius, CurveMethod.tryFind method, Figure.tryParse value, Figure.tryParse seconds
            with
            | Some radius, Some method, Some value, Some seconds ->
                Some
                    {
                        Point = { Radius = radius; Method = method }
                        Value = value
                        Rigor = rigor
                        Seconds = seconds
                    }
            | _ -> None
        | _ -> None
