namespace LipVerify.Cli

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// What grows from one measurement to the next.
type GrowthSeries =
    /// The height and width of the image.
    | Side
    /// The channels on both sides of the convolution.
    | Channels

/// The bound of one network of a series.
type GrowthPoint =
    {
        Channels: int
        Side: int
        /// By how much the working set rose above what it was before the network was made.
        WorkingSetGrowth: int64
        Measurement: Measurement<Bound>
    }

/// How time and memory of a bound grow with the network: a 3×3 convolution between as many channels, and ReLU.
module Growth =

    /// The name of a series.
    let name series =
        match series with
        | Side -> "growth-side"
        | Channels -> "growth-channels"

    /// Channels and side of each network.
    let sizes series =
        match series with
        | Side -> [ 32; 64; 128; 256; 512 ] |> List.map (fun side -> 16, side)
        | Channels -> [ 16; 32; 64; 128; 256 ] |> List.map (fun channels -> channels, 56)

    /// What grows, of a point.
    let extent series point =
        match series with
        | Side -> point.Side
        | Channels -> point.Channels

    /// The slope of the line through the logarithms of `x` and `y` with the least squares: `y` grows as `x` to this power.
    /// Points without a logarithm, such as a working set that did not grow, do not count.
    let exponent (points: (float * float) list) =
        let logarithms =
            points
            |> List.filter (fun (_, y) -> y > 0.0)
            |> List.map (fun (x, y) -> log x, log y)

        let meanX = logarithms |> List.averageBy fst
        let meanY = logarithms |> List.averageBy snd

        (logarithms |> List.sumBy (fun (x, y) -> (x - meanX) * (y - meanY)))
        / (logarithms |> List.sumBy (fun (x, _) -> (x - meanX) ** 2.0))

    /// The network of a point.
    let network channels side : Network =
        let map = Workloads.convolution channels channels 3 1 1 side

        let layers = Series [ Step("conv", Layer.linear map); Step("relu", Layer.relu) ]

        match Network.create [ channels; side; side ] layers with
        | Ok network -> network
        | Error problem -> invalidOp problem

    let private effort = { Seconds = 1.0; Least = 1; Most = 5 }

    /// Measures the bound of one network at a random input.
    let measure (context: Context) (channels: int, side: int) : GrowthPoint =
        // What the point before left behind must not count as memory of this one.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, true, true)
        let before = Environment.WorkingSet
        let network = network channels side
        let measurement = Measurement.run context effort (Workloads.boundWork network)

        {
            Channels = channels
            Side = side
            WorkingSetGrowth = measurement.PeakWorkingSetBytes - before
            Measurement = measurement
        }
