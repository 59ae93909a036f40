/// `lipverify methods`: what the registries of methods hold.
module LipVerify.Cli.MethodsCommand

open Argu
open LipVerify.Core.Numbers
open LipVerify.Core.Methods

/// Over which inputs a method bounds.
let private place (method: BoundMethod) =
    match method.Scope with
    | InBall _ -> "ball"
    | ForAllInputs _ -> "all inputs"
    | InBallOrForAll _ -> "ball or all inputs"
    | OfOneOutput _ -> "ball or all inputs, one output"

let private norms (method: BoundMethod) =
    method.Norms |> List.map Norm.label |> String.concat " "

let private definition (method: RadiusMethod) =
    match method.Definition with
    | RadiusDefinition.Either -> "nominal or uniform"
    | RadiusDefinition.Uniform -> "uniform"
    | RadiusDefinition.Margins -> "margins"

let private text () =
    let bounds =
        TextTable.render
            [
                TextTable.Words "method"
                TextTable.Words "norms"
                TextTable.Words "over"
                TextTable.Words "what it is"
            ]
            (BoundMethods.all
             |> List.map (fun method -> [ method.Name; norms method; place method; method.Summary ]))

    let radii =
        TextTable.render
            [
                TextTable.Words "method"
                TextTable.Words "constant"
                TextTable.Words "what it is"
            ]
            (RadiusMethods.all
             |> List.map (fun method -> [ method.Name; definition method; method.Summary ]))

    $"Lipschitz bounds (bound --method, curve --methods, compare):\n{bounds}\nCertified radii (certify --method):\n{radii}"

let private json () =
    JsonText.document (fun writer ->
        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/methods/1")

            JsonText.array writer "bounds" BoundMethods.all (fun method ->
                JsonText.object writer (fun () ->
                    writer.WriteString("name", method.Name)
                    writer.WriteString("summary", method.Summary)
                    JsonText.array writer "norms" method.Norms (Norm.label >> writer.WriteStringValue)
                    writer.WriteString("over", place method)
                    writer.WriteBoolean("takesEnclosure", method.TakesEnclosure)
                    writer.WriteBoolean("anyTime", method.IsAnyTime)
                    writer.WriteBoolean("hasCertificate", method.HasCertificate)))

            JsonText.array writer "radii" RadiusMethods.all (fun method ->
                JsonText.object writer (fun () ->
                    writer.WriteString("name", method.Name)
                    writer.WriteString("summary", method.Summary)
                    writer.WriteString("constant", definition method)
                    writer.WriteBoolean("takesEnclosure", method.TakesEnclosure)))))

/// Runs the command.
let run (settings: Settings) (_: ParseResults<MethodsArguments>) : Result<unit, CommandError> =
    OutputFiles.check settings "" []
    |> Result.bind (fun () -> (if settings.Json then json () else text ()) |> Session.deliver settings [])
