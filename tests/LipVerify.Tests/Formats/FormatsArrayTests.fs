module LipVerify.Tests.FormatsArrayTests

open System
open System.IO.Compression
open Expecto
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.FormatsWriters

let private doubles (values: float list) =
    values |> List.map BitConverter.GetBytes |> Array.concat

let private header descr fortran shape =
    $"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"

let private parseNpy bytes = parseWith Npy.parse bytes

let private shouldBe shape (values: float list) (tensor: Tensor) =
    Expect.isTrue (tensor.Shape = shape) (Shape.text tensor.Shape)
    shouldEqual (Array.ofList values) (Tensor.values tensor)

// -- npz and zip --------------------------------------------------------------------------------------------------

let private archive level =
    zip
        level
        [
            "a.npy", Npy.write (Tensor.create [ 2; 3 ] 0.5)
            "b.npy", Npy.write (Tensor.vector [| 7.0 |])
        ]

// -- csv ----------------------------------------------------------------------------------------------------------

let private parseCsv (text: string) =
    parseWith Csv.parse (Text.Encoding.UTF8.GetBytes text)

[<Tests>]
let tests =
    testList
        "FormatsArray"
        [
            // -- npy ----------------------------------------------------------------------------------------------------------
            testProperty
                "npy: what is written is read back"
                (fun (rows: FsCheck.NonNegativeInt) (columns: FsCheck.NonNegativeInt) ->
                    let shape = [ rows.Get % 7; columns.Get % 7 ]

                    let tensor =
                        Tensor.ofArray shape (Array.init (Shape.size shape) (fun i -> 1.0 / float (i + 1)))

                    let back = Npy.write tensor |> parseNpy |> valueOf
                    back.Shape = shape && Tensor.values back = Tensor.values tensor)

            testCase "npy: scalars, vectors and arrays of higher rank are written as numpy does" (fun () ->
                for shape in [ []; [ 3 ]; [ 2; 1; 3 ] ] do
                    let file = Npy.write (Tensor.create shape 2.5)

                    Expect.equal
                        ((file.Length - 8 * Shape.size shape) % 64)
                        0
                        "(file.Length - 8 * Shape.size shape) % 64"

                    Expect.isTrue
                        ((file |> parseNpy |> valueOf).Shape = shape)
                        "(file |> parseNpy |> valueOf).Shape = shape")

            testCase "npy: column-major and big-endian arrays are put in order" (fun () ->
                npy 1 (header "<f8" "True" "(2, 3)") (doubles [ 1.0; 2.0; 3.0; 4.0; 5.0; 6.0 ])
                |> parseNpy
                |> valueOf
                |> shouldBe [ 2; 3 ] [ 1.0; 3.0; 5.0; 2.0; 4.0; 6.0 ]

                npy 2 (header ">i2" "False" "(2,)") [| 1uy; 2uy; 0xFFuy; 0xFEuy |]
                |> parseNpy
                |> valueOf
                |> shouldBe [ 2 ] [ 258.0; -2.0 ]

                npy 3 (header "|b1" "False" "(2L, 1L)") [| 1uy; 0uy |]
                |> parseNpy
                |> valueOf
                |> shouldBe [ 2; 1 ] [ 1.0; 0.0 ])

            testCase "npy: what cannot be numbers is refused" (fun () ->
                let fails parts descr fortran shape =
                    npy 1 (header descr fortran shape) (doubles [ 1.0 ])
                    |> parseNpy
                    |> shouldFail parts

                fails [ "Python objects" ] "|O" "False" "(1,)"
                fails [ "<c16"; "not supported" ] "<c16" "False" "(1,)"
                fails [ "more than 2³¹" ] "<f8" "False" "(1099511627776,)"
                fails [ "more than 2³¹" ] "<f8" "False" "(65536, 65536, 0)"
                fails [ "not possible" ] "<f8" "False" "(99999999999999999999,)"
                fails [ "needs 16 bytes, there are 8" ] "<f8" "False" "(2,)"
                fails [ "not of the form" ] "<f8" "False" "(-1,)"
                fails [ "not of the form" ] "<f8" "Maybe" "(1,)"
                let structured = "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}"
                npy 1 structured (doubles [ 1.0 ]) |> parseNpy |> shouldFail [ "records" ]
                npy 9 "" [||] |> parseNpy |> shouldFail [ "version 9" ]

                npy 1 (header "<f8" "False" "(1, 2)") (doubles [ 1.0; nan ])
                |> parseNpy
                |> shouldFail [ "[0, 1]"; "NaN" ])

            testCase "npy: a file cut anywhere is an error" (fun () ->
                let file = Npy.write (Tensor.create [ 2; 2 ] 1.0)

                for length in 0 .. file.Length - 1 do
                    parseNpy (Array.truncate length file) |> shouldFail [ "file: " ])

            testCase "npz: stored and deflated arrays are read by name" (fun () ->
                for level in [ CompressionLevel.NoCompression; CompressionLevel.Optimal ] do
                    let state = archive level |> parseWith StateDict.parse |> valueOf
                    shouldHold "a" [ 2; 3 ] (List.replicate 6 0.5) state
                    shouldHold "b" [ 1 ] [ 7.0 ] state)

            testCase "npz: a file cut anywhere is an error" (fun () ->
                let file = archive CompressionLevel.Optimal

                for length in 0 .. file.Length - 1 do
                    parseWith Npz.parse (Array.truncate length file) |> shouldFail [ "file: " ])

            testCase "zip: a changed byte of the content shows in the checksum" (fun () ->
                let file = archive CompressionLevel.NoCompression
                let at = (occurrences (BitConverter.GetBytes 0.5) file).Head

                parseWith Npz.parse (patch at [| 1uy |] file)
                |> shouldFail [ "a.npy"; "checksum" ]

                Expect.isTrue (Result.isOk (parseWith Npz.parse (patch at [| 1uy |] (withoutChecksums file)))) "")

            testCase "zip: bombs are refused" (fun () ->
                let zeros =
                    zip CompressionLevel.Optimal [ "a.npy", Array.zeroCreate<byte> 100_000_000 ]

                parseWith Npz.parse zeros |> shouldFail [ "hundredfold" ]
                // The same, but the directory says that 1000 bytes come out.
                let directory = (occurrences [| byte 'P'; byte 'K'; 1uy; 2uy |] zeros).Head
                let undeclared = patch (directory + 24) (BitConverter.GetBytes 1000) zeros

                parseWith Npz.parse undeclared
                |> shouldFail [ "a.npy"; "more than the 1000 bytes" ]
                // A small entry that claims to be large.
                let small = archive CompressionLevel.Optimal
                let directory = (occurrences [| byte 'P'; byte 'K'; 1uy; 2uy |] small).Head

                let claims (size: int) =
                    patch (directory + 24) (BitConverter.GetBytes size) small

                parseWith Npz.parse (claims 60_000_000)
                |> shouldFail [ "a.npy"; "cannot come from" ]

                parseWith Npz.parse (claims 1000)
                |> shouldFail [ "a.npy"; "where 1000 are needed" ]

                parseWith Npz.parse (claims -1) |> shouldFail [ "hundredfold" ])

            testCase "zip: encrypted entries, other methods and names that occur twice are refused" (fun () ->
                let file = archive CompressionLevel.NoCompression
                let directory = (occurrences [| byte 'P'; byte 'K'; 1uy; 2uy |] file).Head

                parseWith Npz.parse (patch (directory + 8) [| 1uy |] file)
                |> shouldFail [ "a.npy"; "encrypted" ]

                parseWith Npz.parse (patch (directory + 10) [| 12uy |] file)
                |> shouldFail [ "a.npy"; "method 12" ]

                zip CompressionLevel.Fastest [ "a.npy", [||]; "a.npy", [||] ]
                |> parseWith Npz.parse
                |> shouldFail [ "a.npy"; "two entries of this name" ])

            testCase "zip: many entries are read" (fun () ->
                let state =
                    zip
                        CompressionLevel.NoCompression
                        [ for i in 1..70_000 -> $"{i}.npy", Npy.write (Tensor.vector [| float i |]) ]
                    |> parseWith StateDict.parse
                    |> valueOf

                shouldHold "70000" [ 1 ] [ 70000.0 ] state)

            testCase "csv: commas, semicolons and white space separate numbers" (fun () ->
                for text in [ "1,2.5\n-3,4e2"; "1; 2.5 \r\n-3;4e2\r\n"; "1  2.5\n\n-3\t4e2\n" ] do
                    parseCsv text |> valueOf |> shouldBe [ 2; 2 ] [ 1.0; 2.5; -3.0; 400.0 ])

            testCase "csv: one row and one column are vectors" (fun () ->
                parseCsv "1,2,3" |> valueOf |> shouldBe [ 3 ] [ 1.0; 2.0; 3.0 ]
                parseCsv "1\n2\n3\n" |> valueOf |> shouldBe [ 3 ] [ 1.0; 2.0; 3.0 ])

            testCase "csv: a header and comments are skipped" (fun () ->
                parseCsv "\uFEFFx,y\n# more\n1,2\n3,4"
                |> valueOf
                |> shouldBe [ 2; 2 ] [ 1.0; 2.0; 3.0; 4.0 ])

            testCase "csv: errors name line and column" (fun () ->
                parseCsv "a,b\n1,2\n3,x"
                |> shouldFail [ "line 3, column 2: 'x' is not a number" ]

                parseCsv "1,2\n3"
                |> shouldFail [ "line 2, column 2: a row of length 1 after rows of length 2" ]

                parseCsv "1,,2" |> shouldFail [ "line 1, column 2: the field is empty" ]
                parseCsv "1,x" |> shouldFail [ "line 1, column 2" ]
                parseCsv "1,5;2,5" |> shouldFail [ "both commas and semicolons" ]
                parseCsv "1,nan" |> shouldFail [ "column 2: nan is not a finite number" ]
                parseCsv "1e999" |> shouldFail [ "not a finite number" ]
                parseCsv "a,b\n" |> shouldFail [ "no numbers" ]

                parseCsv (String.replicate 200_000 "," + "\nx")
                |> shouldFail [ "line 2, column 1" ])
        ]
