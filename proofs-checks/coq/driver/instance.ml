(* Reads an instance, the text that `lipverify check --coq` writes: a statement about a dense ReLU network and what proves it.
   Words are separated by spaces and line feeds; integers are decimal. The format is in README.md.

   This file is trusted: it says which network the extracted checker is asked about. *)

module Integer = Z (* Zarith's, before the module of the same name below hides it *)
open Extracted

exception Unreadable of string

let refuse problem = raise (Unreadable problem)

(* Exponents beyond this would only take memory: a double has at most 1074 binary digits behind its point. *)
let largest_exponent = 1_000_000

(* The words of a text, one after the other. *)
let words text =
  let position = ref 0 and size = String.length text in
  let is_space c = c = ' ' || c = '\n' in
  fun () ->
    while !position < size && is_space text.[!position] do incr position done;
    let first = !position in
    while !position < size && not (is_space text.[!position]) do incr position done;
    if first = !position then refuse "the instance ends early" else String.sub text first (!position - first)

let expect next word =
  let found = next () in
  if found <> word then refuse (Printf.sprintf "\"%s\" stands where \"%s\" should" found word)

let is_decimal word =
  let digits = if word <> "" && word.[0] = '-' then String.sub word 1 (String.length word - 1) else word in
  digits <> "" && String.for_all (fun c -> c >= '0' && c <= '9') digits

let integer next =
  let word = next () in
  if is_decimal word then Integer.of_string word else refuse (Printf.sprintf "\"%s\" is no integer" word)

let count next =
  let n = integer next in
  if Integer.sign n >= 0 && Integer.fits_int n then Integer.to_int n else refuse "a count is out of range"

let exponent next =
  let e = count next in
  if e <= largest_exponent then Integer.of_int e else refuse "an exponent is too large"

let list next n read = List.init n (fun _ -> read next)
let integers next n = list next n integer

let choice next (no, yes) =
  let word = next () in
  if word = yes then true
  else if word = no then false
  else refuse (Printf.sprintf "\"%s\" stands where \"%s\" or \"%s\" should" word no yes)

(* layer ROWS COLUMNS EXPONENT relu|bare, the rows of weights, the bias *)
let layer next =
  expect next "layer";
  let rows = count next in
  let columns = count next in
  let weight_exponent = exponent next in
  let rectified = choice next ("bare", "relu") in
  let weights = list next rows (fun next -> integers next columns) in
  let bias = integers next rows in
  { weights; bias; weight_exponent; rectified }

let row next = integers next (count next)

(* claim; reaches COUNT EXPONENT …; slopes COUNT EXPONENT …; constant EXPONENT Z; gram rows|columns; factor ROWS EXPONENT, and
   each row with its length before it *)
let claim next =
  let numbers name =
    expect next name;
    let n = count next in
    let e = exponent next in
    (integers next n, e)
  in
  expect next "claim";
  let reaches, reach_exponent = numbers "reaches" in
  let slopes, slope_exponent = numbers "slopes" in
  expect next "constant";
  let constant_exponent = exponent next in
  let constant = integer next in
  expect next "gram";
  let transposed = choice next ("rows", "columns") in
  expect next "factor";
  let rows = count next in
  let factor_exponent = exponent next in
  let factor = list next rows row in
  { reaches; reach_exponent; slopes; slope_exponent; constant; constant_exponent; transposed; factor; factor_exponent }

let statement next =
  expect next "lipverify/dense/1";
  let uniformly = choice next ("nominal", "uniform") in
  let statement_exponent = exponent next in
  expect next "radius";
  let radius = integer next in
  expect next "bound";
  let bound = integer next in
  expect next "point";
  let point = row next in
  expect next "layers";
  let network = list next (count next) layer in
  { network; point; radius; bound; statement_exponent; uniformly }

(* The statement and its certificate. *)
let parse text =
  let next = words text in
  let statement = statement next in
  expect next "claims";
  let certificate = list next (count next) claim in
  expect next "end";
  (statement, certificate)
