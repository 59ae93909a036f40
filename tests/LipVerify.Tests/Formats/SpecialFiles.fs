/// Paths that are no regular files with content, made in a temporary folder.
module LipVerify.Tests.SpecialFiles

open System
open System.Diagnostics
open System.IO
open System.Net.Sockets
open Expecto

let private pipe (path: string) =
    use running = Process.Start(ProcessStartInfo("mkfifo", [ path ])) |> nonNull

    running.WaitForExit()
    Expect.equal running.ExitCode 0 "exit code"

/// What a clone holds in the place of a large file until it is fetched.
let pointer =
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"

/// Hands each path that is no regular file with content, under names that end in `extension`, to `work`: opening some of
/// them would wait for ever, and reading others would never end.
let each (extension: string) (work: string -> unit) =
    if OperatingSystem.IsWindows() then
        skiptest "needs POSIX files"

    let folder = Directory.CreateTempSubdirectory "lipverify-special-"

    let at name =
        Path.Combine(folder.FullName, name + extension)

    try
        pipe (at "pipe")

        use socket =
            new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)

        socket.Bind(UnixDomainSocketEndPoint(at "socket"))
        File.CreateSymbolicLink(at "link-to-device", "/dev/zero") |> ignore
        File.CreateSymbolicLink(at "link-to-pipe", at "pipe") |> ignore
        File.CreateSymbolicLink(at "link-to-link", at "link-to-device") |> ignore
        Directory.CreateDirectory(at "folder") |> ignore
        File.WriteAllText(at "empty", "")

        let names =
            [
                "pipe"
                "socket"
                "link-to-device"
                "link-to-pipe"
                "link-to-link"
                "folder"
                "empty"
            ]

        for path in "/dev/zero" :: "/dev/null" :: List.map at names do
            work path
    finally
        folder.Delete true
