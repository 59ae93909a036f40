(* lipverify-proved INSTANCE …: one line an instance, whether the checker that is proved sound accepts it. Exit code 0: it accepts
   all; 1: it rejects one; 2: a file cannot be read. This file is trusted. *)

module Integer = Z (* Zarith's, before the module of the same name below hides it *)
open Extracted

let read path =
  let channel = open_in_bin path in
  Fun.protect
    ~finally:(fun () -> close_in channel)
    (fun () -> really_input_string channel (in_channel_length channel))

(* The number z·2^-e, which is not negative, in 18 decimals that are rounded by [divide]. *)
let decimals divide z e =
  let scale = Integer.pow (Integer.of_int 10) 18 in
  let n = divide (Integer.mul z scale) (Integer.shift_left Integer.one (Integer.to_int e)) in
  let whole, rest = Integer.div_rem n scale in
  Printf.sprintf "%s.%018d" (Integer.to_string whole) (Integer.to_int rest)

let sizes statement =
  String.concat "-"
    (string_of_int (List.length statement.point)
    :: List.map (fun layer -> string_of_int (List.length layer.weights)) statement.network)

(* Checks one file and gives its exit code. *)
let verdict path =
  match Instance.parse (read path) with
  | exception (Instance.Unreadable problem | Sys_error problem) ->
      Printf.eprintf "lipverify-proved: %s: %s\n" path problem;
      2
  | statement, certificate when check statement certificate ->
      Printf.printf
        "accepted: the %s local Lipschitz constant of the dense network %s over the ball of radius %s is at most %s\n"
        (if statement.uniformly then "uniform" else "nominal")
        (sizes statement)
        (decimals Integer.fdiv statement.radius statement.statement_exponent)
        (decimals Integer.cdiv statement.bound statement.statement_exponent);
      0
  | _ ->
      print_endline "rejected";
      1

let () =
  match List.tl (Array.to_list Sys.argv) with
  | [] ->
      prerr_endline "usage: lipverify-proved INSTANCE...";
      exit 2
  | paths -> exit (List.fold_left (fun worst path -> max worst (verdict path)) 0 paths)
