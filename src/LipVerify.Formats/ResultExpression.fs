namespace LipVerify.Formats

/// Steps of which each may fail: the first error ends the computation.
type internal ResultBuilder() =
    member inline _.Return(value) : Result<_, _> = Ok value
    member inline _.ReturnFrom(outcome: Result<_, _>) = outcome
    member inline _.Zero() : Result<unit, _> = Ok()

    member inline _.Bind(outcome: Result<_, _>, [<InlineIfLambda>] next: _ -> Result<_, _>) =
        match outcome with
        | Ok value -> next value
        | Error error -> Error error

    member inline _.Delay([<InlineIfLambda>] body: unit -> Result<_, _>) = body

    member inline _.Combine(first: Result<unit, _>, [<InlineIfLambda>] next: unit -> Result<_, _>) =
        match first with
        | Ok() -> next ()
        | Error error -> Error error

    member inline _.Run([<InlineIfLambda>] body: unit -> Result<_, _>) = body ()

[<AutoOpen>]
module internal ResultExpression =

    /// `result { let! a = … in return … }`
    let result = ResultBuilder()

    /// Fails with `error` unless `condition` holds.
    let inline require condition ([<InlineIfLambda>] error: unit -> 'error) =
        if condition then Ok() else Error(error ())

    /// Every answer of `step`, or the first error.
    let traverse (step: 'a -> Result<'b, 'error>) (items: 'a seq) : Result<'b[], 'error> =
        let answers = ResizeArray()
        let mutable failure = Ok()
        use items = items.GetEnumerator()

        while failure.IsOk && items.MoveNext() do
            match step items.Current with
            | Ok answer -> answers.Add answer
            | Error error -> failure <- Error error

        failure |> Result.map answers.ToArray
