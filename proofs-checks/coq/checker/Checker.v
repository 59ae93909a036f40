(** The checker: integer arithmetic on lists, and nothing else.

    What it decides is in [DenseNetwork] and [Soundness]. A number with the exponent [e] is an integer
    times [2^-e]: doubles are numbers of this kind. *)

From Coq Require Import ZArith NArith List Bool.
Import ListNotations.
Local Open Scope Z_scope.

(** ** What is checked *)

(** A dense layer: rows of weights and a bias, both with the exponent [weight_exponent], and whether ReLU follows. *)
Record layer := {
  weights : list (list Z);
  bias : list Z;
  weight_exponent : N;
  rectified : bool
}.

(** The statement: the local constant of the network over the ball of this radius around this point is at
    most the bound. All numbers but the weights have the exponent [statement_exponent]. *)
Record statement := {
  network : list layer;
  point : list Z;
  radius : Z;
  bound : Z;
  statement_exponent : N;
  uniformly : bool
}.

(** What is stated of one layer:
    - [reaches]: how far its outputs move before ReLU (of a layer without ReLU: nothing);
    - [slopes]: the factors [r_i] of Theorem 2;
    - [constant]: at least [|R A D|];
    - [factor]: rows of a matrix [L] with [constant² I − MMᵀ − LLᵀ] diagonally dominant, for [M = R A D] without its zero
      rows, or for its transpose without its zero rows where [transposed]. *)
Record layer_certificate := {
  reaches : list Z;
  reach_exponent : N;
  slopes : list Z;
  slope_exponent : N;
  constant : Z;
  constant_exponent : N;
  transposed : bool;
  factor : list (list Z);
  factor_exponent : N
}.

(** ** Lists of integers *)

Definition power2 (e : N) : Z := Z.shiftl 1 (Z.of_N e).
Definition shift (z : Z) (e : N) : Z := Z.shiftl z (Z.of_N e).

Fixpoint dot (a b : list Z) : Z :=
  match a, b with
  | x :: a', y :: b' => x * y + dot a' b'
  | _, _ => 0
  end.

Fixpoint total (a : list Z) : Z :=
  match a with
  | [] => 0
  | x :: a' => x + total a'
  end.

Fixpoint map2 {A B C : Type} (f : A -> B -> C) (a : list A) (b : list B) : list C :=
  match a, b with
  | x :: a', y :: b' => f x y :: map2 f a' b'
  | _, _ => []
  end.

(** [f] holds of all entries that stand side by side, and the lists have one length. *)
Fixpoint all2 {A B : Type} (f : A -> B -> bool) (a : list A) (b : list B) : bool :=
  match a, b with
  | x :: a', y :: b' => f x y && all2 f a' b'
  | [], [] => true
  | _, _ => false
  end.

(** Entries with [false] become 0. *)
Definition masked (live : list bool) (a : list Z) : list Z :=
  map2 (fun (d : bool) x => if d then x else 0) live a.

Definition is_zero_row (a : list Z) : bool := forallb (Z.eqb 0) a.

(** The columns of rows of [width] entries. *)
Definition columns (width : nat) (rows : list (list Z)) : list (list Z) :=
  fold_right (map2 cons) (repeat [] width) rows.

(** ** One layer *)

(** Pre-activations at the nominal point, with the exponents of weights and point added. *)
Definition nominal_values (l : layer) (x : list Z) (x_exponent : N) : list Z :=
  map2 (fun row b => dot row x + shift b x_exponent) (weights l) (bias l).

(** [ε·|D a_i| ≤ t_i], compared by squares. *)
Definition reach_holds (l : layer) (live : list bool) (eps : Z) (eps_exponent t_exponent : N) (row : list Z) (t : Z) : bool :=
  (0 <=? t)
  && (shift (eps * eps * let a := masked live row in dot a a) (2 * t_exponent)
      <=? shift (t * t) (2 * (weight_exponent l + eps_exponent))).

(** [y + t ≤ 0]: the ReLU stays off. Both have one exponent here. *)
Definition stays_off (y t : Z) : bool := y + t <=? 0.

(** [r] is at least the slope of Theorem 1: nominal, from [y] up to [y + t]; or uniform. *)
Definition slope_holds (uniform : bool) (r_exponent : N) (y t r : Z) : bool :=
  (0 <=? r)
  && (stays_off y t
      || (power2 r_exponent <=? r)
      || negb uniform && ((t =? 0) || (y <=? 0) && (shift (y + t) r_exponent <=? r * t))).

(** A row of [R A D]. *)
Definition restricted_row (live : list bool) (r : Z) (row : list Z) : list Z :=
  masked live (map (Z.mul r) row).

(** What is left of the diagonal of [square·I − a·MMᵀ − b·LLᵀ] when the absolute values beside it are taken off:
    one number a row [(m, l)]. *)
Fixpoint left_of_diagonal (square a b : Z) (rows : list (list Z * list Z)) : list Z :=
  match rows with
  | [] => []
  | (m, l) :: rest =>
      let beside := map (fun row => Z.abs (a * dot m (fst row) + b * dot l (snd row))) rest in
      square - a * dot m m - b * dot l l - total beside
      :: map2 Z.sub (left_of_diagonal square a b rest) beside
  end.

(** The constant is at least the norm of the matrix with these rows, whose exponent is [m_exponent]. *)
Definition norm_holds (rows : list (list Z)) (m_exponent : N) (c : layer_certificate) : bool :=
  let live_rows := filter (fun row => negb (is_zero_row row)) rows in
  let square := shift (constant c * constant c) (2 * (m_exponent + factor_exponent c)) in
  let a := power2 (2 * (constant_exponent c + factor_exponent c)) in
  let b := power2 (2 * (m_exponent + constant_exponent c)) in
  (0 <=? constant c)
  && (length live_rows =? length (factor c))%nat
  && forallb (Z.leb 0) (left_of_diagonal square a b (combine live_rows (factor c))).

Definition layer_holds (uniform : bool) (l : layer) (y : list Z) (y_exponent : N) (width : nat)
    (live : list bool) (eps : Z) (eps_exponent : N) (c : layer_certificate) : bool :=
  let rows := map2 (restricted_row live) (slopes c) (weights l) in
  forallb (fun row => (length row =? width)%nat) (weights l)
  && (length (bias l) =? length (weights l))%nat
  && (length (slopes c) =? length (weights l))%nat
  && (if rectified l then
        all2 (reach_holds l live eps eps_exponent (reach_exponent c)) (weights l) (reaches c)
        && all2 (fun yt r => slope_holds uniform (slope_exponent c)
                               (shift (fst yt) (reach_exponent c)) (shift (snd yt) y_exponent) r)
             (combine y (reaches c)) (slopes c)
      else
        forallb (Z.leb (power2 (slope_exponent c))) (slopes c))
  && norm_holds (if transposed c then columns width rows else rows)
       (slope_exponent c + weight_exponent l) c.

(** ** Algorithm 1 *)

(** Walks the layers from the nominal values [x], the coordinates that may differ from zero, and the radius; answers with the
    product of the constants and its exponent. *)
Fixpoint walk (uniform : bool) (layers : list layer) (certificates : list layer_certificate)
    (x : list Z) (x_exponent : N) (live : list bool) (eps : Z) (eps_exponent : N) : option (Z * N) :=
  match layers, certificates with
  | [], [] => Some (1, 0%N)
  | l :: layers, c :: certificates =>
      let y := nominal_values l x x_exponent in
      let y_exponent := (weight_exponent l + x_exponent)%N in
      if layer_holds uniform l y y_exponent (length x) live eps eps_exponent c then
        let after :=
          if rectified l then
            walk uniform layers certificates (map (Z.max 0) y) y_exponent
              (map2 (fun y t => negb (stays_off (shift y (reach_exponent c)) (shift t y_exponent))) y (reaches c))
              (eps * constant c) (eps_exponent + constant_exponent c)
          else
            walk uniform layers certificates y y_exponent (map (fun _ => true) y)
              (eps * constant c) (eps_exponent + constant_exponent c) in
        match after with
        | Some (product, exponent) => Some (constant c * product, (constant_exponent c + exponent)%N)
        | None => None
        end
      else None
  | _, _ => None
  end.

(** [true] only if the statement holds: [Soundness.check_sound]. *)
Definition check (s : statement) (certificates : list layer_certificate) : bool :=
  (0 <=? radius s)
  && match walk (uniformly s) (network s) certificates (point s) (statement_exponent s)
             (map (fun _ => true) (point s)) (radius s) (statement_exponent s) with
     | Some (product, exponent) => shift product (statement_exponent s) <=? shift (bound s) exponent
     | None => false
     end.
