namespace LipVerify.Formats

/// Finds the state dict in what a checkpoint holds.
module internal Checkpoint =

    /// Where training scripts put the state dict, beside the optimizer and the epoch.
    let private places =
        [ "state_dict"; "model_state_dict"; "model"; "net"; "network"; "module" ]

    let private tensors (entries: ResizeArray<struct (PickleValue * PickleValue)>) =
        entries
        |> Seq.choose (fun struct (key, value) ->
            match key, value with
            | PickleValue.Str name, PickleValue.Tensor tensor -> Some(name, tensor)
            | _ -> None)

    // A checkpoint may contain itself: the depth ends the search.
    let rec private search depth path value =
        match value with
        | PickleValue.Dict entries when depth < 4 ->
            let nested =
                entries
                |> Seq.choose (fun struct (key, value) ->
                    match key with
                    | PickleValue.Str name when List.contains name places -> Some(name, value)
                    | _ -> None)
                |> Seq.truncate places.Length
                |> Seq.collect (fun (name, value) -> search (depth + 1) (path @ [ name ]) value)
                |> List.ofSeq

            if nested.IsEmpty && not (Seq.isEmpty (tensors entries)) then
                [ path, entries ]
            else
                nested
        | _ -> []

    let private keys value =
        match value with
        | PickleValue.Dict entries ->
            entries
            |> Seq.choose (fun struct (key, _) ->
                match key with
                | PickleValue.Str name -> Some name
                | _ -> None)
            |> Seq.truncate 8
            |> String.concat ", "
            |> fun keys -> if keys = "" then "" else $"; its keys are {keys}"
        | _ -> ""

    let private list (paths: string list list) =
        paths |> List.map (String.concat ".") |> String.concat ", "

    /// The tensors of the only state dict in `value`, by name.
    let stateDict (source: string) (value: PickleValue) : Result<(string * TensorReference)[], LoadError> =
        match search 0 [] value with
        | [ _, entries ] -> Ok(Array.ofSeq (tensors entries))
        | [] ->
            let wanted = places |> String.concat ", "

            Error(
                LoadError.file
                    source
                    $"the file has no state dict, neither by itself nor under one of {wanted}{keys value}; save model.state_dict()"
            )
        | several ->
            Error(
                LoadError.file
                    source
                    $"the file has several state dicts, under {list (List.map fst several)}; save the one that is meant"
            )
