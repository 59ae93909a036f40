module P
open NUnit.Framework
open FsCheck.NUnit
[<Property>]
let ``a`` (x:int) = x+1 > x || true
[<Test>]
let ``b`` () = Assert.That(1, Is.EqualTo 1)
