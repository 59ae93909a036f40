/// The plot and the page that `curve` writes.
module LipVerify.Tests.CliCurvePlotTests

open System
open System.Diagnostics
open System.IO
open System.Xml.Linq
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Cli
open LipVerify.Tests.CliRun
open LipVerify.Tests.CurveRuns

/// The plots of a short curve: SVG, HTML and the rows.
let private plotted title work =
    inFolder (fun folder ->
        let file name = Path.Combine(folder, name)

        curve
            [
                "--radii"
                "0.01:1:3:log"
                "--csv"
                file "c.csv"
                "--plot"
                file "c.svg"
                "--html"
                file "c.html"
                "--title"
                title
            ]
        |> succeeds
        |> ignore

        work (file "c.svg") (file "c.html") (rows (file "c.csv")))

let private chromium () =
    [ "chromium"; "chromium-browser"; "google-chrome"; "google-chrome-stable" ]
    |> List.collect (fun name ->
        (Environment.GetEnvironmentVariable "PATH" |> string).Split Path.PathSeparator
        |> Array.map (fun folder -> Path.Combine(folder, name))
        |> List.ofArray)
    |> List.tryFind File.Exists

/// The document after its scripts ran, with one more script at its end.
let private dumpDom browser (html: string) (script: string) =
    let page = html + ".tested.html"
    let profile = html + ".profile"

    // The tests' script is allowed by the same policy as the page's own.
    File.WriteAllText(page, (File.ReadAllText html).Replace("</body>", $"<script>{script}</script></body>"))

    let start =
        ProcessStartInfo(
            browser,
            [
                "--headless"
                "--no-sandbox"
                "--disable-gpu"
                "--window-size=1000,1200"
                "--virtual-time-budget=3000"
                $"--user-data-dir={profile}"
                "--dump-dom"
                Uri(page).AbsoluteUri
            ]
        )

    start.RedirectStandardOutput <- true
    start.RedirectStandardError <- true
    use running = Process.Start start |> nonNull
    let errors = running.StandardError.ReadToEndAsync()
    let output = running.StandardOutput.ReadToEndAsync()

    if not (running.WaitForExit 120_000) then
        running.Kill true
        failtest "the browser does not end"

    errors.Wait()
    output.Result

/// The part of a document between two marks.
let private between (first: string) (last: string) (text: string) =
    let start = text.IndexOf first

    if start < 0 then
        ""
    else
        text.Substring(start, text.IndexOf(last, start) - start)

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliCurvePlot"
        [
            testCase "The plot is well-formed, and names are escaped" (fun () ->
                let title = "a <b> & \"c\" ' ]]> </script>"

                plotted title (fun svg html _ ->
                    let document = XDocument.Load svg
                    let root = document.Root |> nonNull
                    Expect.equal root.Name.LocalName "svg" "local name"
                    Expect.stringContains root.Value title "value"
                    let page = File.ReadAllText html
                    Expect.stringContains page "a &lt;b&gt; &amp; &quot;c&quot;" "page"
                    // The page's own scripts, and none that the title opened or closed.
                    Expect.equal (page.Split("</script>").Length - 1) 2 "page.Split(\"</script>\").Length - 1"
                    Expect.stringLacks page "http://www.w3.org/1999/xhtml" "page"

                    for reference in [ "src="; "href="; "@import"; "url(" ] do
                        Expect.stringLacks page reference "page"))

            testCase "The plot has the curves, told apart by dashes and markers, within its frame" (fun () ->
                plotted "t" (fun svg _ _ ->
                    let root = (XDocument.Load svg).Root |> nonNull

                    let attribute (name: string) (element: XElement) =
                        element.Attribute(XName.op_Implicit name |> nonNull)
                        |> Option.ofObj
                        |> Option.map _.Value

                    let curves =
                        [
                            for element in root.Descendants() do
                                if element.Name.LocalName = "polyline" then
                                    element
                        ]

                    Expect.equal curves.Length 4 "length"
                    let dashes = curves |> List.map (attribute "stroke-dasharray")
                    Expect.isTrue (dashes[0..1] = [ None; None ]) "upper bounds are solid"
                    Expect.isTrue (dashes[2..3] |> List.forall Option.isSome) "lower bounds are dashed"
                    Expect.equal (List.distinct dashes[2..3]).Length 2 "length"

                    for curve in curves do
                        let points = (attribute "points" curve |> Option.get).Split ' '
                        Expect.hasLength points 3 "points"

                        for point in points do
                            let place = point.Split ',' |> Array.map float
                            Expect.isInRange place[0] (0.0, CurveLayout.width) "place[0]"
                            Expect.isInRange place[1] (0.0, CurveLayout.height) "place[1]"))

            testCase "The page shows the values under the pointer and those that the arrow keys reach" (fun () ->
                match chromium () with
                | None -> skiptest "no Chromium is installed"
                | Some browser ->
                    plotted "t" (fun _ html rows ->
                        let values = [ for row in rows.Tail -> float (row.Split(',')[2]) ]
                        let shown index = values[index].ToString "G6"
                        let tip dom = between "<div id=\"tip\"" "</div>" dom

                        let untouched = dumpDom browser html ""
                        Expect.stringContains (tip untouched) "hidden" "nothing is shown before"

                        // A real pointer event over the last marker of the first curve.
                        let hovered =
                            dumpDom
                                browser
                                html
                                """const mark = [...document.querySelectorAll("#plot .curve")][0].lastElementChild.getBoundingClientRect();
                       document.querySelector("#plot svg").dispatchEvent(new PointerEvent("pointermove",
                         { clientX: mark.x + mark.width / 2, clientY: mark.y + mark.height / 2, pointerType: "mouse", bubbles: true }));"""

                        Expect.stringContains (tip hovered) "radius 1<" "tip hovered"

                        for index in 8..11 do
                            Expect.stringContains (tip hovered) (shown index) "tip hovered"

                        let keyed =
                            dumpDom
                                browser
                                html
                                """const plot = document.querySelector("#plot svg");
                       plot.focus();
                       for (const key of ["Home", "ArrowRight"]) plot.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));"""

                        Expect.stringContains (tip keyed) "radius 0.1<" "tip keyed"
                        Expect.stringContains (tip keyed) (shown 5) "tip keyed"))

            testCase "The table of the page holds all values" (fun () ->
                plotted "t" (fun _ html rows ->
                    let page = File.ReadAllText html
                    let table = between "<table class=\"values\">" "</table>" page

                    for row in rows.Tail do
                        let fields = row.Split ','

                        let side =
                            if fields[1] = "global" || fields[1] = "analytic" then
                                Upper
                            else
                                Lower

                        let value = float fields[2]

                        let shown =
                            $"title=\"{Side.sign side} {Side.figure 17 side value}, {fields[3]}\">{Side.figure 6 side value}<"

                        Expect.stringContains table shown "table"))

            testCase "The page shows the names of files, not where they lie" (fun () ->
                plotted "t" (fun _ html _ ->
                    let page = File.ReadAllText html
                    Expect.stringContains page "Local Lipschitz constant of mnist-net.onnx at 8.png" "page"
                    Expect.stringLacks page samples "page"))
        ]
