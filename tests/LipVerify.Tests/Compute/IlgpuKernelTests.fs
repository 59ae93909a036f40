/// Kernels of the engine on ILGPU, compiled for cards without one: what a card would be given.
module LipVerify.Tests.IlgpuKernelTests

open System
open System.Reflection
open System.Text.RegularExpressions
open Expecto
open ILGPU
open ILGPU.Backends.EntryPoints
open ILGPU.Backends.PTX
open ILGPU.Runtime
open ILGPU.Runtime.Cuda
open LipVerify.Ilgpu
open LipVerify.Ilgpu.Kernels
open LipVerify.Propositions.Expectations

/// All kernels: public static methods of the types that are named for them, with the shapes of tiles that cards have.
let private kernels =
    typeof<IlgpuEngine>.Assembly.GetTypes()
    |> Array.filter (fun kind -> Regex.IsMatch(kind.Name, @"Kernels(`1)?$"))
    |> Array.collect (fun kind ->
        if kind.IsGenericTypeDefinition then
            [| typeof<CardSquare>; typeof<CardFlat> |]
            |> Array.map (fun shape -> kind.MakeGenericType shape)
        else
            [| kind |])
    |> Array.collect _.GetMethods(BindingFlags.Public ||| BindingFlags.Static ||| BindingFlags.DeclaredOnly)

let private nameOf (kernel: MethodInfo) =
    let shape =
        (kernel.DeclaringType |> Option.ofObj |> Option.get).GetGenericArguments()
        |> Array.map _.Name
        |> String.concat ""

    $"{(kernel.DeclaringType |> Option.ofObj |> Option.get).Name}.{kernel.Name} {shape}".Trim()

let private contextOfCards () =
    Context.Create(fun builder ->
        FusedOperations.WithFusedOperations(builder.Optimize OptimizationLevel.O2)
        |> ignore)

let private compile (context: Context) (architecture: CudaArchitecture) (kernel: MethodInfo) =
    use backend =
        new PTXBackend(context, CudaCapabilityContext architecture, architecture, CudaInstructionSet.ISA_80, null)

    let entry = EntryPointDescription.FromExplicitlyGroupedKernel kernel
    let mutable specialization = KernelSpecialization()
    (backend.Compile(&entry, &specialization) :?> PTXCompiledKernel).PTXAssembly

let private count (pattern: string) text = (Regex.Matches(text, pattern)).Count

[<Tests>]
let tests =
    testList
        "IlgpuKernels"
        [
            testCase
                "every kernel compiles for cards of the generations 8 and 9, and holds nothing that must not be there"
                (fun () ->
                    use context = contextOfCards ()

                    Expect.isGreaterThanOrEqual kernels.Length 25 "kernels"

                    for architecture in [ CudaArchitecture.SM_80; CudaArchitecture.SM_90 ] do
                        for kernel in kernels do
                            let name, ptx = nameOf kernel, compile context architecture kernel
                            Expect.stringContains ptx ".visible .entry" name
                            // A function that nobody defines: what the compiler has no instruction for.
                            Expect.stringLacks ptx ".extern" name
                            // Arrays that lie in the slow memory of a thread.
                            Expect.stringLacks ptx ".local" name
                            // Single precision, and roots and quotients that are not rounded to the nearest.
                            Expect.equal (count @"\.f32" ptx) 0 name
                            Expect.stringLacks ptx "approx" name
                            Expect.equal (count @"\b(div|sqrt)\.(?!rn\.f64|s32|u32|s64|u64)" ptx) 0 name
                            // Sums in an order of chance.
                            Expect.equal (count @"\b(atom|red)\." ptx) 0 name)

            testCase "products fuse all their terms, and keep their sums in registers" (fun () ->
                use context = contextOfCards ()

                let products =
                    kernels
                    |> Array.filter (fun kernel -> (nameOf kernel).StartsWith "ProductKernels")

                Expect.hasLength products 6 "products"

                for kernel in products do
                    let name, ptx = nameOf kernel, compile context CudaArchitecture.SM_90 kernel
                    Expect.equal (count @"fma\.rn\.f64" ptx) 16 name
                    // Four values of each factor for them.
                    Expect.equal (count @"ld\.shared\.f64" ptx) 8 name
                    Expect.equal (count @"bar\.sync" ptx) 2 name
                    // What a group may have without asking.
                    let shared =
                        Regex.Matches(ptx, @"\.shared \.align 8 \.b8 \S+\[(\d+)\]")
                        |> Seq.sumBy (fun m -> int m.Groups[1].Value)

                    Expect.isLessThanOrEqual shared 49152 name)

            testCase "factorisations divide and take roots as IEEE 754 has it" (fun () ->
                use context = contextOfCards ()

                let ptxOf name =
                    kernels
                    |> Array.find (fun kernel -> nameOf kernel = name)
                    |> compile context CudaArchitecture.SM_90

                let diagonal, solve =
                    ptxOf "CholeskyKernels.Diagonal", ptxOf "CholeskyKernels.Solve"

                Expect.isGreaterThan (count @"sqrt\.rn\.f64" diagonal) 0 "roots"
                Expect.isGreaterThan (count @"div\.rn\.f64" diagonal) 0 "quotients"
                Expect.isGreaterThan (count @"div\.rn\.f64" solve) 0 "quotients")
        ]
