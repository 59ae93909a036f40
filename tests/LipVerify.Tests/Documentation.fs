module LipVerify.Tests.Documentation

open System
open System.IO
open System.Reflection
open System.Runtime.CompilerServices
open System.Xml.Linq
open Microsoft.FSharp.Reflection
open LipVerify.Compute
open Expecto

/// The identifiers that the XML file beside an assembly documents, without parameters.
let private documented (assembly: Assembly) =
    let file = nonNull (Path.ChangeExtension(assembly.Location, ".xml"))
    let name (text: string) = XName.op_Implicit text |> nonNull

    let bare (id: string) =
        let withoutParameters = (id.Split '(')[0]
        (withoutParameters.Split "``")[0]

    (XDocument.Load file).Descendants(name "member")
    |> Seq.filter (fun element -> not (String.IsNullOrWhiteSpace element.Value))
    |> Seq.map (fun element -> element.Attribute(name "name") |> nonNull |> _.Value |> bare)
    |> Set.ofSeq

let private generated (info: MemberInfo) =
    info.IsDefined(typeof<CompilerGeneratedAttribute>, false)

let private own =
    BindingFlags.Public
    ||| BindingFlags.Instance
    ||| BindingFlags.Static
    ||| BindingFlags.DeclaredOnly

/// The identifiers of the public face of a type: itself, its cases or fields, its other properties and its methods.
let private publicFace (t: Type) =
    let full = (nonNull t.FullName).Replace('+', '.')
    let isUnion, isRecord = FSharpType.IsUnion t, FSharpType.IsRecord t

    [
        $"T:{full}"

        if isUnion then
            for case in FSharpType.GetUnionCases t do
                $"T:{full}.{case.Name}"

        if isRecord then
            for field in FSharpType.GetRecordFields t do
                $"P:{full}.{field.Name}"

        for property in t.GetProperties own do
            if not isUnion && not isRecord && not (generated property) then
                $"P:{full}.{property.Name}"

        for method in t.GetMethods own do
            let isCase = method.IsDefined(typeof<CompilationMappingAttribute>, false) && isUnion

            if
                not method.IsSpecialName
                && not (generated method)
                && not isCase
                && method.GetBaseDefinition() = method
            then
                $"M:{full}.{method.Name}"
    ]

/// Types that stand for a case of a union, and the tags of its cases, are spoken for by the union.
let private partOfUnion (t: Type) =
    match t.DeclaringType with
    | null -> false
    | declaring -> FSharpType.IsUnion(declaring, BindingFlags.Public ||| BindingFlags.NonPublic)

/// A module named after a type is spoken for by the type: `T:…Tensor` for `T:…TensorModule`.
let private companion (id: string) =
    if id.StartsWith "T:" && id.EndsWith "Module" then
        id[.. id.Length - 7]
    else
        id

let private undocumented (assembly: Assembly) =
    let known = documented assembly

    assembly.GetExportedTypes()
    |> Seq.filter (fun t -> not (generated t) && not (partOfUnion t))
    |> Seq.collect publicFace
    |> Seq.filter (fun id -> not (known.Contains id || known.Contains(companion id)))
    |> Seq.distinct
    |> Seq.sort
    |> List.ofSeq

[<Tests>]
let tests =
    testList
        "Documentation"
        [
            testTheory
                "every public type and member is documented"
                [ "LipVerify.Core"; "LipVerify.Formats" ]
                (fun (name: string) ->
                    let missing = undocumented (Assembly.Load name)
                    Expect.isEmpty missing (String.Join('\n', missing)))

            testCase "the check sees the members that it checks" (fun () ->
                let face = publicFace typeof<Engines>
                Expect.contains face "M:LipVerify.Compute.Engines.Create" "face"

                let rounding =
                    Assembly.Load("LipVerify.Core").GetType("LipVerify.Core.Numbers.Rounding")
                    |> nonNull

                Expect.contains (publicFace rounding) "M:LipVerify.Core.Numbers.Rounding.mulUp" "publicFace rounding")
        ]
