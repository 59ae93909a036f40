/// The inputs that pooling windows cover.
module internal LipVerify.Core.LowerBounds.PoolingWindows

open System
open LipVerify.Compute

/// Calls `visit output members` for each window, with the positions of its members inside one input. The members are only
/// valid during the call.
let iterate (geometry: PoolingGeometry) (visit: int -> ArraySegment<int> -> unit) =
    let rows, columns = geometry.Rows, geometry.Columns
    let members = Array.zeroCreate (rows.Kernel * columns.Kernel)
    let mutable output = 0

    for channel in 0 .. geometry.Channels - 1 do
        for row in 0 .. rows.Output - 1 do
            for column in 0 .. columns.Output - 1 do
                let mutable count = 0

                for i in 0 .. rows.Kernel - 1 do
                    for j in 0 .. columns.Kernel - 1 do
                        let r, c = rows.Position(row, i), columns.Position(column, j)

                        if r >= 0 && r < rows.Input && c >= 0 && c < columns.Input then
                            members[count] <- (channel * rows.Input + r) * columns.Input + c
                            count <- count + 1

                visit output (ArraySegment(members, 0, count))
                output <- output + 1
