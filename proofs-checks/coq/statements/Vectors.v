(** Vectors and matrices over the reals.

    A vector of R^n is a function from indices to reals of which the values at
    [0 .. n-1] count; sums, inner products and norms name [n].  So does a map
    between spaces: what it says of indices beyond its dimensions is of no
    meaning. *)

From Coq Require Export Reals Lra Lia.
From Coq Require Import Psatz.
Local Open Scope R_scope.

Definition vector := nat -> R.
Definition matrix := nat -> nat -> R.

Fixpoint sum (n : nat) (f : nat -> R) : R :=
  match n with
  | O => 0
  | S k => sum k f + f k
  end.

Definition dot (n : nat) (x y : vector) : R := sum n (fun i => x i * y i).

(** The Euclidean norm, and its square. *)
Definition square_norm (n : nat) (x : vector) : R := dot n x x.
Definition norm (n : nat) (x : vector) : R := sqrt (square_norm n x).

Definition zero : vector := fun _ => 0.
Definition add (x y : vector) : vector := fun i => x i + y i.
Definition minus (x y : vector) : vector := fun i => x i - y i.
Definition scale (c : R) (x : vector) : vector := fun i => c * x i.

(** [diag d x] is [D x] for [D = diag(d)]. *)
Definition diag (d x : vector) : vector := fun i => d i * x i.

(** [apply n A x] is [A x]; [n] is the number of columns of [A]. *)
Definition apply (n : nat) (A : matrix) (x : vector) : vector := fun i => dot n (A i) x.
Definition transpose (A : matrix) : matrix := fun i j => A j i.
Definition product (k : nat) (A B : matrix) : matrix := fun i j => sum k (fun l => A i l * B l j).

(** Equality of the entries that count. *)
Definition same (n : nat) (x y : vector) : Prop := forall i, (i < n)%nat -> x i = y i.

Lemma abs_at_most x t : Rabs x <= t -> - t <= x <= t.
Proof. unfold Rabs. destruct (Rcase_abs x); lra. Qed.

(** ** Sums *)

Lemma sum_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> sum n f = sum n g.
Proof.
  induction n as [|n IH]; simpl; intros H; [easy|].
  rewrite IH, H; auto with arith.
Qed.

Lemma sum_le n f g : (forall i, (i < n)%nat -> f i <= g i) -> sum n f <= sum n g.
Proof.
  induction n as [|n IH]; simpl; intros H; [lra|].
  apply Rplus_le_compat; auto with arith.
Qed.

Lemma sum_zero n : sum n (fun _ => 0) = 0.
Proof. induction n; simpl; lra. Qed.

Lemma sum_nonneg n f : (forall i, (i < n)%nat -> 0 <= f i) -> 0 <= sum n f.
Proof. intros H. rewrite <- (sum_zero n). now apply sum_le. Qed.

Lemma sum_plus n f g : sum n (fun i => f i + g i) = sum n f + sum n g.
Proof. induction n; simpl; lra. Qed.

Lemma sum_minus n f g : sum n (fun i => f i - g i) = sum n f - sum n g.
Proof. induction n; simpl; lra. Qed.

Lemma sum_scale n c f : sum n (fun i => c * f i) = c * sum n f.
Proof. induction n; simpl; lra. Qed.

Lemma sum_swap n m (f : nat -> nat -> R) :
  sum n (fun i => sum m (fun j => f i j)) = sum m (fun j => sum n (fun i => f i j)).
Proof.
  induction n as [|n IH]; simpl.
  - now rewrite sum_zero.
  - now rewrite IH, sum_plus.
Qed.

Lemma sum_member n f i : (forall j, (j < n)%nat -> 0 <= f j) -> (i < n)%nat -> f i <= sum n f.
Proof.
  induction n as [|n IH]; simpl; intros H Hi; [lia|].
  destruct (Nat.eq_dec i n) as [->|].
  - assert (0 <= sum n f) by (apply sum_nonneg; auto with arith). lra.
  - assert (f i <= sum n f) by (apply IH; [auto with arith | lia]).
    assert (0 <= f n) by auto. lra.
Qed.

Lemma sum_nonneg_zero n f i :
  (forall j, (j < n)%nat -> 0 <= f j) -> sum n f = 0 -> (i < n)%nat -> f i = 0.
Proof.
  intros H E Hi. pose proof (sum_member n f i H Hi). specialize (H i Hi). lra.
Qed.

(** A sum all of whose terms but one are zero. *)
Lemma sum_single n f i : (i < n)%nat -> (forall j, (j < n)%nat -> j <> i -> f j = 0) -> sum n f = f i.
Proof.
  induction n as [|n IH]; simpl; intros Hi H; [lia|].
  destruct (Nat.eq_dec i n) as [->|].
  - rewrite (sum_ext n f (fun _ => 0)), sum_zero; [lra|]. intros j Hj. apply H; lia.
  - rewrite IH, (H n); try lia; [lra|]. intros j Hj. apply H. lia.
Qed.

(** ** Inner products and norms *)

Lemma dot_ext n x y x' y' : same n x x' -> same n y y' -> dot n x y = dot n x' y'.
Proof. intros Hx Hy. apply sum_ext. intros i Hi. now rewrite Hx, Hy. Qed.

Lemma dot_sym n x y : dot n x y = dot n y x.
Proof. apply sum_ext. intros. ring. Qed.

Lemma dot_add_l n x y z : dot n (add x y) z = dot n x z + dot n y z.
Proof. unfold dot. rewrite <- sum_plus. apply sum_ext. intros. unfold add. ring. Qed.

Lemma dot_minus_r n x y z : dot n x (minus y z) = dot n x y - dot n x z.
Proof. unfold dot. rewrite <- sum_minus. apply sum_ext. intros. unfold minus. ring. Qed.

Lemma dot_minus_l n x y z : dot n (minus x y) z = dot n x z - dot n y z.
Proof. now rewrite dot_sym, dot_minus_r, !(dot_sym n z). Qed.

Lemma dot_scale_l n c x y : dot n (scale c x) y = c * dot n x y.
Proof. unfold dot. rewrite <- sum_scale. apply sum_ext. intros. unfold scale. ring. Qed.

Lemma dot_scale_r n c x y : dot n x (scale c y) = c * dot n x y.
Proof. now rewrite dot_sym, dot_scale_l, dot_sym. Qed.

Lemma dot_zero_r n x : dot n x zero = 0.
Proof. unfold dot, zero. rewrite (sum_ext n _ (fun _ => 0)), sum_zero; auto. intros. ring. Qed.

Lemma square_norm_nonneg n x : 0 <= square_norm n x.
Proof. apply sum_nonneg. intros. nra. Qed.

Lemma norm_nonneg n x : 0 <= norm n x.
Proof. apply sqrt_pos. Qed.

Lemma norm_square n x : norm n x * norm n x = square_norm n x.
Proof. apply sqrt_sqrt, square_norm_nonneg. Qed.

Lemma norm_ext n x y : same n x y -> norm n x = norm n y.
Proof. intros H. unfold norm, square_norm. now rewrite (dot_ext n x x y y). Qed.

Lemma norm_zero n : norm n zero = 0.
Proof. unfold norm, square_norm. rewrite dot_zero_r. apply sqrt_0. Qed.

Lemma norm_eq_zero n x : norm n x = 0 -> same n x zero.
Proof.
  intros H i Hi. unfold zero.
  assert (E : square_norm n x = 0) by (rewrite <- norm_square, H; ring).
  assert (x i * x i = 0).
  { apply (sum_nonneg_zero n (fun i => x i * x i)); auto. intros. nra. }
  nra.
Qed.

(** Norms are compared by their squares. *)
Lemma norm_le_square n x c : 0 <= c -> square_norm n x <= c * c -> norm n x <= c.
Proof.
  intros Hc H. unfold norm. rewrite <- (sqrt_square c Hc).
  apply sqrt_le_1; auto using square_norm_nonneg. nra.
Qed.

Lemma norm_le_scaled n m x y c :
  0 <= c -> square_norm n x <= (c * c) * square_norm m y -> norm n x <= c * norm m y.
Proof.
  intros Hc H. apply norm_le_square.
  - apply Rmult_le_pos; auto using norm_nonneg.
  - pose proof (norm_square m y). nra.
Qed.

Lemma square_le_of_norm n x c : norm n x <= c -> square_norm n x <= c * c.
Proof. intros H. rewrite <- norm_square. pose proof (norm_nonneg n x). nra. Qed.

Lemma cauchy_schwarz_squares n x y :
  dot n x y * dot n x y <= square_norm n x * square_norm n y.
Proof.
  destruct (Req_dec (square_norm n y) 0) as [E|E].
  - assert (H : same n y zero).
    { apply norm_eq_zero. unfold norm. rewrite E. apply sqrt_0. }
    rewrite (dot_ext n x y x zero), dot_zero_r, E; [lra | easy | easy].
  - assert (0 < square_norm n y) by (pose proof (square_norm_nonneg n y); lra).
    set (c := dot n x y / square_norm n y).
    assert (P : 0 <= square_norm n (minus x (scale c y))) by apply square_norm_nonneg.
    unfold square_norm in P.
    rewrite dot_minus_l, !dot_minus_r, !dot_scale_l, !dot_scale_r, (dot_sym n y x) in P.
    fold (square_norm n x) (square_norm n y) in P.
    assert (Hc : c * square_norm n y = dot n x y) by (unfold c; field; lra).
    assert (Hcc : c * (c * square_norm n y) = c * dot n x y) by now rewrite Hc.
    assert (c * dot n x y <= square_norm n x) by lra.
    assert (c * dot n x y * square_norm n y <= square_norm n x * square_norm n y) by nra.
    nra.
Qed.

Lemma cauchy_schwarz n x y : dot n x y <= norm n x * norm n y.
Proof.
  assert (H := cauchy_schwarz_squares n x y).
  rewrite <- !norm_square in H.
  pose proof (norm_nonneg n x). pose proof (norm_nonneg n y).
  destruct (Rle_dec (dot n x y) 0); [nra|].
  apply Rsqr_incr_0_var; [unfold Rsqr; lra | nra].
Qed.

Lemma cauchy_schwarz_abs n x y : Rabs (dot n x y) <= norm n x * norm n y.
Proof.
  apply Rabs_le. split; [|apply cauchy_schwarz].
  assert (H := cauchy_schwarz n (scale (-1) x) y). rewrite dot_scale_l in H.
  assert (E : norm n (scale (-1) x) = norm n x).
  { unfold norm, square_norm. f_equal. rewrite dot_scale_l, dot_scale_r. ring. }
  rewrite E in H. lra.
Qed.

Lemma norm_triangle n x y : norm n (add x y) <= norm n x + norm n y.
Proof.
  apply norm_le_square.
  - pose proof (norm_nonneg n x). pose proof (norm_nonneg n y). lra.
  - unfold square_norm.
    rewrite dot_add_l, (dot_sym n x), (dot_sym n y), !dot_add_l, (dot_sym n y x).
    fold (square_norm n x) (square_norm n y). rewrite <- !norm_square.
    pose proof (cauchy_schwarz n x y). nra.
Qed.

Lemma norm_minus_sym n x y : norm n (minus x y) = norm n (minus y x).
Proof.
  unfold norm, square_norm. f_equal. apply sum_ext. intros. unfold minus. ring.
Qed.

(** One coordinate is at most the norm. *)
Lemma entry_le_norm n x i : (i < n)%nat -> Rabs (x i) <= norm n x.
Proof.
  intros Hi. rewrite <- sqrt_Rsqr_abs. apply sqrt_le_1.
  - apply Rle_0_sqr.
  - apply square_norm_nonneg.
  - apply (sum_member n (fun i => x i * x i)); auto. intros. nra.
Qed.

(** If every entry of [x] is at most that of [y] in size, so is the norm. *)
Lemma norm_le_entries n x y :
  (forall i, (i < n)%nat -> Rabs (x i) <= Rabs (y i)) -> norm n x <= norm n y.
Proof.
  intros H. apply sqrt_le_1; try apply square_norm_nonneg.
  apply sum_le. intros i Hi. now apply Rsqr_le_abs_1, H.
Qed.

(** ** Matrices *)

Lemma apply_ext n A x y : same n x y -> forall i, apply n A x i = apply n A y i.
Proof. intros H i. apply dot_ext; [easy | exact H]. Qed.

Lemma apply_minus n A x y i : apply n A (minus x y) i = apply n A x i - apply n A y i.
Proof. apply dot_minus_r. Qed.

(** [⟨A x, y⟩ = ⟨x, Aᵀ y⟩]. *)
Lemma dot_transpose m n A x y :
  dot m (apply n A x) y = dot n x (apply m (transpose A) y).
Proof.
  unfold apply, dot, transpose.
  rewrite (sum_ext m _ (fun i => sum n (fun j => A i j * x j * y i))).
  - rewrite sum_swap. apply sum_ext. intros j _.
    rewrite <- sum_scale. apply sum_ext. intros. ring.
  - intros i _. rewrite Rmult_comm, <- sum_scale. apply sum_ext. intros. ring.
Qed.

Lemma apply_product m k A B x i :
  apply m (product k A B) x i = apply k A (apply m B x) i.
Proof.
  unfold apply, product, dot.
  rewrite (sum_ext m _ (fun j => sum k (fun l => A i l * B l j * x j))).
  - rewrite sum_swap. apply sum_ext. intros l _.
    rewrite <- sum_scale. apply sum_ext. intros. ring.
  - intros j _. rewrite Rmult_comm, <- sum_scale. apply sum_ext. intros. ring.
Qed.
