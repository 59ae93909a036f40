(** Upper bounds on spectral norms that are proofs, METHODS 4.

    The same statements, tested on the program: tests/LipVerify.Tests/Core/CoreCertificateTests.fs. *)

From Coq Require Import Psatz.
Require Import Lipschitz Theorem2.
Local Open Scope R_scope.

Definition identity : matrix := fun i j => if Nat.eqb i j then 1 else 0.

(** [c I − G]. *)
Definition shifted (c : R) (G : matrix) : matrix := fun i j => c * identity i j - G i j.

Definition quadratic (n : nat) (N : matrix) (x : vector) : R := dot n x (apply n N x).
Definition positive_semidefinite (n : nat) (N : matrix) : Prop := forall x, 0 <= quadratic n N x.
Definition symmetric (n : nat) (N : matrix) : Prop :=
  forall i j, (i < n)%nat -> (j < n)%nat -> N i j = N j i.

(** [MᵀM] and [MMᵀ] of an [m × n] matrix. *)
Definition gram_of_columns (m : nat) (M : matrix) : matrix := product m (transpose M) M.
Definition gram_of_rows (n : nat) (M : matrix) : matrix := product n M (transpose M).

Lemma apply_identity n x i : (i < n)%nat -> apply n identity x i = x i.
Proof.
  intros Hi. unfold apply, dot. rewrite (sum_single n _ i Hi).
  - unfold identity. rewrite Nat.eqb_refl. ring.
  - intros j _ Hj. unfold identity. destruct (Nat.eqb_spec i j); [congruence|ring].
Qed.

Lemma quadratic_shifted n c G x : quadratic n (shifted c G) x = c * square_norm n x - quadratic n G x.
Proof.
  unfold quadratic, square_norm.
  transitivity (dot n x (minus (scale c (apply n identity x)) (apply n G x))).
  - apply dot_ext; [easy|]. intros i _. unfold minus, scale, apply, shifted, dot.
    rewrite <- sum_scale, <- sum_minus. apply sum_ext. intros. ring.
  - rewrite dot_minus_r, dot_scale_r. f_equal. f_equal. apply dot_ext; [easy|].
    intros i Hi. now apply apply_identity.
Qed.

Lemma quadratic_gram_of_columns m n M x :
  quadratic n (gram_of_columns m M) x = square_norm m (apply n M x).
Proof.
  unfold quadratic, gram_of_columns, square_norm. rewrite dot_transpose.
  apply dot_ext; [easy|]. intros i _. apply apply_product.
Qed.

Lemma quadratic_gram_of_rows m n M y :
  quadratic m (gram_of_rows n M) y = square_norm n (apply m (transpose M) y).
Proof. exact (quadratic_gram_of_columns n m (transpose M) y). Qed.

(** [|Mᵀ| ≤ c] gives [|M| ≤ c]. *)
Lemma norm_of_transpose m n M c :
  spectral_norm_at_most n m (transpose M) c -> spectral_norm_at_most m n M c.
Proof.
  intros [Hc H]. split; [exact Hc|]. intros x. set (y := apply n M x).
  assert (E : norm m y * norm m y <= norm m y * (c * norm n x)).
  { rewrite norm_square. unfold square_norm, y at 1. rewrite dot_transpose. fold y.
    apply Rle_trans with (1 := cauchy_schwarz n _ _).
    specialize (H y). pose proof (norm_nonneg n x). nra. }
  pose proof (norm_nonneg m y) as P.
  assert (0 <= c * norm n x) by (apply Rmult_le_pos; auto using norm_nonneg).
  destruct (Rle_lt_or_eq_dec _ _ P) as [Hp|Hz]; [|lra].
  now apply Rmult_le_reg_l with (norm m y).
Qed.

(** 4a: [c²I − MᵀM ⪰ 0] or [c²I − MMᵀ ⪰ 0] shows that the norm is at most [c]. *)
Theorem norm_by_columns m n M c :
  0 <= c -> positive_semidefinite n (shifted (c * c) (gram_of_columns m M)) -> spectral_norm_at_most m n M c.
Proof.
  intros Hc H. split; [exact Hc|]. intros x. apply norm_le_scaled; [exact Hc|].
  specialize (H x). rewrite quadratic_shifted, (quadratic_gram_of_columns m n) in H. lra.
Qed.

Theorem norm_by_rows m n M c :
  0 <= c -> positive_semidefinite m (shifted (c * c) (gram_of_rows n M)) -> spectral_norm_at_most m n M c.
Proof.
  intros Hc H. apply norm_of_transpose. apply norm_by_columns; [exact Hc | exact H].
Qed.

(** 4a: factors [L] that do not fit exactly are a proof if the shift [s] outweighs what is left:
    [N = LLᵀ + sI + E] with [|E| ≤ s]. *)
Theorem cholesky_with_shift n k N L E s :
  (forall x, quadratic n N x = square_norm k (apply n (transpose L) x) + s * square_norm n x + quadratic n E x) ->
  spectral_norm_at_most n n E s -> positive_semidefinite n N.
Proof.
  intros HN [Hs HE] x. rewrite HN.
  pose proof (square_norm_nonneg k (apply n (transpose L) x)).
  assert (- (s * square_norm n x) <= quadratic n E x); [|lra].
  unfold quadratic. pose proof (cauchy_schwarz_abs n x (apply n E x)) as C.
  apply abs_at_most in C. specialize (HE x). pose proof (norm_nonneg n x).
  rewrite <- norm_square. nra.
Qed.

(** Gershgorin: a symmetric matrix whose diagonal dominates is positive semidefinite. *)
Definition off_diagonal (E : matrix) : matrix := fun i j => if Nat.eqb i j then 0 else Rabs (E i j).

Theorem diagonal_dominance n E :
  symmetric n E -> (forall i, (i < n)%nat -> sum n (off_diagonal E i) <= E i i) ->
  positive_semidefinite n E.
Proof.
  intros HS HD x. set (a := off_diagonal E).
  set (half := fun i j => a i j * (x i * x i) / 2).
  assert (Low : quadratic n E x >=
    sum n (fun i => sum n (fun j => (if Nat.eqb i j then E i i * (x i * x i) else 0) - half i j - half j i))).
  { apply Rle_ge. unfold quadratic, apply, dot. apply sum_le. intros i Hi. rewrite <- sum_scale.
    apply sum_le. intros j Hj. unfold half, a, off_diagonal.
    destruct (Nat.eqb_spec i j) as [->|Hij].
    - rewrite Nat.eqb_refl. lra.
    - destruct (Nat.eqb_spec j i); [congruence|]. rewrite <- (HS i j Hi Hj).
      assert (A : - Rabs (E i j) <= E i j <= Rabs (E i j)) by (apply abs_at_most; lra).
      pose proof (Rle_0_sqr (x i + x j)) as P. pose proof (Rle_0_sqr (x i - x j)) as Q.
      unfold Rsqr in P, Q. set (e := E i j) in *. set (r := Rabs e) in *. nra. }
  assert (Sum : sum n (fun i => sum n (fun j => (if Nat.eqb i j then E i i * (x i * x i) else 0) - half i j - half j i))
    = sum n (fun i => (E i i - sum n (a i)) * (x i * x i))).
  { transitivity (sum n (fun i => E i i * (x i * x i)) - sum n (fun i => sum n (half i)) - sum n (fun i => sum n (fun j => half j i))).
    - rewrite <- !sum_minus. apply sum_ext. intros i Hi. rewrite !sum_minus. f_equal. f_equal.
      rewrite (sum_single n _ i Hi); [now rewrite Nat.eqb_refl|].
      intros j _ Hj. destruct (Nat.eqb_spec i j); [congruence|easy].
    - rewrite (sum_swap n n (fun i j => half j i)), <- !sum_minus. apply sum_ext. intros i _.
      assert (Hh : sum n (half i) = sum n (a i) * (x i * x i) / 2).
      { transitivity (sum n (fun j => x i * x i / 2 * a i j)).
        - apply sum_ext. intros. unfold half. lra.
        - rewrite sum_scale. lra. }
      change (sum n (fun j => half i j)) with (sum n (half i)). rewrite Hh. lra. }
  rewrite Sum in Low. apply Rge_le in Low. apply Rle_trans with (2 := Low).
  apply sum_nonneg. intros i Hi. apply Rmult_le_pos; [|apply Rle_0_sqr].
  specialize (HD i Hi). fold a in HD. lra.
Qed.

(** 4c: [|M| ≤ √(|M|₁·|M|_∞)] from bounds on row and column sums. *)
Theorem norm_by_row_and_column_sums m n M rows columns :
  0 <= rows -> 0 <= columns ->
  (forall i, (i < m)%nat -> sum n (fun j => Rabs (M i j)) <= rows) ->
  (forall j, (j < n)%nat -> sum m (fun i => Rabs (M i j)) <= columns) ->
  spectral_norm_at_most m n M (sqrt (rows * columns)).
Proof.
  intros Hr Hc Rows Columns. split; [apply sqrt_pos|]. intros x.
  apply norm_le_scaled; [apply sqrt_pos|]. rewrite sqrt_sqrt by now apply Rmult_le_pos.
  apply Rle_trans with (sum m (fun i => rows * sum n (fun j => Rabs (M i j) * (x j * x j)))).
  - apply sum_le. intros i Hi.
    (* Cauchy–Schwarz for the products √|M_ij| · √|M_ij| x_j *)
    set (p := fun j => sqrt (Rabs (M i j))). set (q := fun j => p j * Rabs (x j)).
    assert (Hp : forall j, p j * p j = Rabs (M i j)) by (intros j; apply sqrt_sqrt, Rabs_pos).
    assert (Hq : forall j, q j * q j = Rabs (M i j) * (x j * x j)).
    { intros j. unfold q. rewrite <- Hp. pose proof (Rsqr_abs (x j)) as A. unfold Rsqr in A.
      rewrite A. ring. }
    assert (T : Rabs (apply n M x i) <= dot n p q).
    { unfold apply, dot. clear -Hp. induction n as [|k IH]; cbn [sum]; [rewrite Rabs_R0; lra|].
      apply Rle_trans with (1 := Rabs_triang _ _). apply Rplus_le_compat; [exact IH|].
      unfold q. rewrite <- Rmult_assoc, Hp, Rabs_mult. lra. }
    assert (C := cauchy_schwarz_squares n p q).
    assert (Sp : square_norm n p = sum n (fun j => Rabs (M i j))) by (apply sum_ext; auto).
    assert (Sq : square_norm n q = sum n (fun j => Rabs (M i j) * (x j * x j))) by (apply sum_ext; auto).
    rewrite Sp, Sq in C.
    assert (apply n M x i * apply n M x i <= dot n p q * dot n p q).
    { apply Rsqr_le_abs_1. rewrite (Rabs_pos_eq (dot n p q)); [exact T|].
      apply Rle_trans with (2 := T). apply Rabs_pos. }
    apply Rle_trans with (1 := H). apply Rle_trans with (1 := C).
    apply Rmult_le_compat_r; [|now apply Rows].
    apply sum_nonneg. intros. apply Rmult_le_pos; [apply Rabs_pos | apply Rle_0_sqr].
  - rewrite sum_scale, sum_swap, Rmult_assoc. apply Rmult_le_compat_l; [exact Hr|].
    unfold square_norm, dot. rewrite <- sum_scale. apply sum_le. intros j Hj.
    rewrite (sum_ext m _ (fun i => (x j * x j) * Rabs (M i j))) by (intros; ring).
    rewrite sum_scale, Rmult_comm. apply Rmult_le_compat_r; [apply Rle_0_sqr | now apply Columns].
Qed.

(** 4c: [|M| ≤ |M|_F]. *)
Theorem norm_by_entries m n M :
  spectral_norm_at_most m n M (sqrt (sum m (fun i => square_norm n (M i)))).
Proof.
  split; [apply sqrt_pos|]. intros x. apply norm_le_scaled; [apply sqrt_pos|].
  rewrite sqrt_sqrt by (apply sum_nonneg; intros; apply square_norm_nonneg).
  rewrite (Rmult_comm (sum _ _)), <- sum_scale. apply sum_le. intros i _.
  rewrite (Rmult_comm (square_norm n x)). exact (cauchy_schwarz_squares n (M i) x).
Qed.
