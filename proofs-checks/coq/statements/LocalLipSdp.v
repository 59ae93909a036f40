(** Local LipSDP with slope intervals, METHODS 7: a linear matrix inequality bounds the constant.

    The same statement, tested on the program: proofs-checks/Propositions/LocalLipSdp.fs. *)

From Coq Require Import Psatz.
Require Import Lipschitz SpectralNorm Theorem1 Proposition4.
Local Open Scope R_scope.

(** ** Vectors and matrices of two blocks *)

(** [(x, w)], with [x] in R^n. *)
Definition append (n : nat) (x w : vector) : vector :=
  fun j => if Nat.ltb j n then x j else w (j - n)%nat.

(** [[M T]], with [n] columns in [M]. *)
Definition beside (n : nat) (M T : matrix) : matrix := fun i => append n (M i) (T i).

(** [diag(p, t)] with [p] repeated [n] times. *)
Definition weights (n : nat) (p : R) (t : vector) : vector := append n (fun _ => p) t.

Lemma sum_blocks n k f : sum (n + k) f = sum n f + sum k (fun j => f (n + j)%nat).
Proof.
  induction k as [|k IH]; [rewrite Nat.add_0_r; simpl; lra|].
  rewrite Nat.add_succ_r. cbn [sum]. rewrite IH. lra.
Qed.

Lemma append_left n x w j : (j < n)%nat -> append n x w j = x j.
Proof. intros H. unfold append. apply Nat.ltb_lt in H. now rewrite H. Qed.

Lemma append_right n x w j : append n x w (n + j)%nat = w j.
Proof.
  unfold append. destruct (Nat.ltb_spec (n + j) n); [lia|]. f_equal. lia.
Qed.

Lemma dot_append n k x w y v : dot (n + k) (append n x w) (append n y v) = dot n x y + dot k w v.
Proof.
  unfold dot. rewrite sum_blocks. f_equal; apply sum_ext; intros j Hj.
  - now rewrite !append_left.
  - now rewrite !append_right.
Qed.

Lemma apply_beside n k M T x w i :
  apply (n + k) (beside n M T) (append n x w) i = apply n M x i + apply k T w i.
Proof. apply dot_append. Qed.

(** ** The inequality *)

(** [F(γ², t) = diag(γ² I, t) − [M T]ᵀ[M T] − [H G]ᵀ diag(t) [H G]], for [n] inputs, [k] slopes, [m] outputs. *)
Definition inequality_matrix (n k m : nat) (M T H G : matrix) (gamma2 : R) (t : vector) : matrix :=
  fun i j =>
    (if Nat.eqb i j then weights n gamma2 t i else 0)
    - sum m (fun l => beside n M T l i * beside n M T l j)
    - sum k (fun l => beside n H G l i * t l * beside n H G l j).

Section Inequality.
Variables (n k m : nat) (M T H G : matrix) (gamma : R) (t : vector).

Lemma quadratic_inequality_matrix y :
  quadratic (n + k) (inequality_matrix n k m M T H G (gamma * gamma) t) y =
  sum (n + k) (fun i => weights n (gamma * gamma) t i * (y i * y i))
  - square_norm m (apply (n + k) (beside n M T) y)
  - sum k (fun l => t l * (apply (n + k) (beside n H G) y l * apply (n + k) (beside n H G) y l)).
Proof.
  set (N := (n + k)%nat). set (B := beside n M T). set (C := beside n H G).
  assert (Gram : forall p (K : matrix) (s : vector),
    sum N (fun i => y i * sum N (fun j => sum p (fun l => K l i * s l * K l j) * y j))
    = sum p (fun l => s l * (apply N K y l * apply N K y l))).
  { intros p K s.
    transitivity (sum N (fun i => sum p (fun l => y i * K l i * s l * apply N K y l))).
    - apply sum_ext. intros i _. rewrite <- sum_scale.
      transitivity (sum N (fun j => sum p (fun l => y i * K l i * s l * (K l j * y j)))).
      + apply sum_ext. intros j _. rewrite Rmult_comm, Rmult_assoc, Rmult_comm, Rmult_assoc.
        rewrite Rmult_comm, <- sum_scale. rewrite Rmult_comm, <- sum_scale. apply sum_ext. intros. ring.
      + rewrite sum_swap. apply sum_ext. intros l _. now rewrite sum_scale.
    - rewrite sum_swap. apply sum_ext. intros l _.
      rewrite (sum_ext N _ (fun i => (s l * apply N K y l) * (K l i * y i))) by (intros; ring).
      rewrite sum_scale. unfold apply, dot. ring. }
  assert (One : square_norm m (apply N B y)
    = sum N (fun i => y i * sum N (fun j => sum m (fun l => B l i * B l j) * y j))).
  { transitivity (sum m (fun l => 1 * (apply N B y l * apply N B y l))).
    - apply sum_ext. intros. ring.
    - rewrite <- (Gram m B (fun _ => 1)). apply sum_ext. intros i _. f_equal.
      apply sum_ext. intros j _. f_equal. apply sum_ext. intros. ring. }
  rewrite One, <- (Gram k C t), <- !sum_minus. clear Gram One.
  unfold quadratic, apply, dot. apply sum_ext. intros i Hi.
  assert (Diagonal : weights n (gamma * gamma) t i * y i
    = sum N (fun j => (if Nat.eqb i j then weights n (gamma * gamma) t i else 0) * y j)).
  { rewrite (sum_single N _ i Hi); [now rewrite Nat.eqb_refl|].
    intros j _ Hj. destruct (Nat.eqb_spec i j); [congruence|ring]. }
  transitivity (y i * (weights n (gamma * gamma) t i * y i
    - sum N (fun j => sum m (fun l => B l i * B l j) * y j)
    - sum N (fun j => sum k (fun l => C l i * t l * C l j) * y j))); [|ring].
  f_equal. rewrite Diagonal, <- !sum_minus. apply sum_ext. intros j _.
  unfold inequality_matrix. fold B C. ring.
Qed.

(** The lemma of METHODS 7: with
    [δf = M δx + T w], [v = H δx + G w], [|w_i| ≤ |v_i|], multipliers [t ≥ 0] and [F(γ², t) ⪰ 0]:
    [|δf| ≤ γ|δx|]. *)
Theorem multipliers_bound dx w v df :
  0 <= gamma -> (forall i, (i < k)%nat -> 0 <= t i) ->
  positive_semidefinite (n + k) (inequality_matrix n k m M T H G (gamma * gamma) t) ->
  (forall i, (i < m)%nat -> df i = apply n M dx i + apply k T w i) ->
  (forall i, (i < k)%nat -> v i = apply n H dx i + apply k G w i) ->
  (forall i, (i < k)%nat -> Rabs (w i) <= Rabs (v i)) ->
  norm m df <= gamma * norm n dx.
Proof.
  intros Hg Ht F Hf Hv Hw. apply norm_le_scaled; [exact Hg|].
  specialize (F (append n dx w)). rewrite quadratic_inequality_matrix in F.
  assert (E1 : sum (n + k) (fun i => weights n (gamma * gamma) t i * (append n dx w i * append n dx w i))
     = gamma * gamma * square_norm n dx + sum k (fun i => t i * (w i * w i))).
  { rewrite sum_blocks. f_equal.
    - unfold square_norm, dot. rewrite <- sum_scale. apply sum_ext. intros i Hi. unfold weights.
      now rewrite !append_left.
    - apply sum_ext. intros i _. unfold weights. now rewrite !append_right. }
  assert (E2 : square_norm m (apply (n + k) (beside n M T) (append n dx w)) = square_norm m df).
  { apply dot_ext; intros i Hi; rewrite apply_beside; symmetry; auto. }
  assert (E3 : sum k (fun i => t i * (w i * w i)) <=
     sum k (fun l => t l * (apply (n + k) (beside n H G) (append n dx w) l * apply (n + k) (beside n H G) (append n dx w) l))).
  { apply sum_le. intros i Hi. rewrite apply_beside, <- Hv by exact Hi.
    apply Rmult_le_compat_l; [auto|]. now apply Rsqr_le_abs_1, Hw. }
  rewrite E1, E2 in F. lra.
Qed.

End Inequality.

(** ** Networks *)

(** Between the pairs [P], the increments of [f] and of the pre-activations [z] are linear in those
    of the input and the residuals [w_i = δσ_i − c_i δz_i] of the activations, whose slopes lie in
    [[c_i − ρ_i, c_i + ρ_i]]; [v = ρ∘δz]. *)
Record representation (n k m : nat) (f z : vector -> vector) (act : nat -> R -> R)
    (P : vector -> vector -> Prop) (c rho : vector) (M T H G : matrix) : Prop := {
  outputs_are_linear : forall x x' i, P x x' -> (i < m)%nat ->
    minus (f x) (f x') i = apply n M (minus x x') i
      + apply k T (fun j => act j (z x j) - act j (z x' j) - c j * (z x j - z x' j)) i;
  slopes_are_linear : forall x x' i, P x x' -> (i < k)%nat ->
    rho i * (z x i - z x' i) = apply n H (minus x x') i
      + apply k G (fun j => act j (z x j) - act j (z x' j) - c j * (z x j - z x' j)) i;
  slopes_in_intervals : forall x x' i, P x x' -> (i < k)%nat ->
    exists s, c i - rho i <= s <= c i + rho i /\
      act i (z x i) - act i (z x' i) = s * (z x i - z x' i)
}.

(** [F(γ², t) ⪰ 0] bounds the constant of the network: nominal for pairs with [x0], uniform for all pairs. *)
Theorem local_lipsdp n k m f z act P c rho M T H G gamma t :
  representation n k m f z act P c rho M T H G ->
  0 <= gamma -> (forall i, (i < k)%nat -> 0 <= t i) ->
  positive_semidefinite (n + k) (inequality_matrix n k m M T H G (gamma * gamma) t) ->
  bounds_slopes n m f P gamma.
Proof.
  intros [Lf Lz S] Hg Ht F x x' HP.
  set (w := fun j => act j (z x j) - act j (z x' j) - c j * (z x j - z x' j)) in *.
  apply (multipliers_bound n k m M T H G gamma t _ w (fun i => rho i * (z x i - z x' i))); auto.
  - intros i Hi. now apply Lf.
  - intros i Hi. now apply Lz.
  - intros i Hi. destruct (S x x' i HP Hi) as (s & Hs & E). unfold w. rewrite E.
    replace (s * (z x i - z x' i) - c i * (z x i - z x' i)) with ((s - c i) * (z x i - z x' i)) by ring.
    rewrite !Rabs_mult. apply Rmult_le_compat_r; [apply Rabs_pos|].
    apply Rle_trans with (rho i); [apply Rabs_le; lra | apply Rle_abs].
Qed.

(** An instance: [f(x) = B σ(A x + a) + b] has the representation [M = B diag(c) A], [T = B],
    [H = diag(ρ) A], [G = 0]. *)
Theorem representation_of_hidden_layer n k m A a B b act (P : vector -> vector -> Prop) c rho :
  (forall x x' i, P x x' -> (i < k)%nat ->
    exists s, c i - rho i <= s <= c i + rho i /\
      act i (affine n A a x i) - act i (affine n A a x' i) = s * (affine n A a x i - affine n A a x' i)) ->
  representation n k m
    (fun x => affine k B b (fun i => act i (affine n A a x i))) (affine n A a) act P c rho
    (product k B (fun i j => c i * A i j)) B (fun i j => rho i * A i j) (fun _ _ => 0).
Proof.
  assert (Row : forall (q : vector) x i, apply n (fun i j => q i * A i j) x i = q i * apply n A x i).
  { intros q x i. unfold apply, dot. rewrite <- sum_scale. apply sum_ext. intros. ring. }
  intros S. split; [| |exact S].
  - intros x x' i _ _. rewrite affine_minus, apply_product.
    unfold apply at 1 2 4, dot. rewrite <- sum_plus. apply sum_ext. intros j _.
    rewrite Row, <- (affine_minus n A a x x' j). unfold minus. ring.
  - intros x x' i _ _. rewrite Row, <- (affine_minus n A a x x' i).
    assert (Z : forall w, apply k (fun _ _ => 0) w i = 0).
    { intros w. unfold apply, dot. rewrite (sum_ext k _ (fun _ => 0)) by (intros; ring). apply sum_zero. }
    rewrite Z. unfold minus. ring.
Qed.

(** With the slopes of ReLU over a ball: [l] and [u] are the secants down and up to the reach of Proposition 4. *)
Corollary local_lipsdp_of_hidden_layer n k m A a B b x0 eps gamma t :
  0 <= eps -> 0 <= gamma -> (forall i, (i < k)%nat -> 0 <= t i) ->
  let y0 := affine n A a x0 in
  let reach := fun i => eps * norm n (A i) in
  let l := fun i => relu_slope (y0 i) (y0 i - reach i) in
  let u := fun i => relu_slope (y0 i) (y0 i + reach i) in
  let c := fun i => (l i + u i) / 2 in
  let rho := fun i => (u i - l i) / 2 in
  positive_semidefinite (n + k)
    (inequality_matrix n k m (product k B (fun i j => c i * A i j)) B (fun i j => rho i * A i j) (fun _ _ => 0)
       (gamma * gamma) t) ->
  nominal n m (fun x => affine k B b (fun i => relu (affine n A a x i))) x0 (ball n x0 eps) gamma.
Proof.
  intros He Hg Ht y0 reach l u c rho F.
  apply (local_lipsdp n k m _ (affine n A a) (fun _ => relu) (pairs_with x0 (ball n x0 eps)) c rho
    (product k B (fun i j => c i * A i j)) B (fun i j => rho i * A i j) (fun _ _ => 0) gamma t); auto.
  apply (representation_of_hidden_layer n k m A a B b (fun _ => relu)).
  intros x x' i [Hx ->] _.
  assert (R : Rabs (affine n A a x i - y0 i) <= reach i).
  { change (affine n A a x i - y0 i) with (minus (affine n A a x) (affine n A a x0) i).
    rewrite affine_minus. apply Rle_trans with (1 := cauchy_schwarz_abs n (A i) (minus x x0)).
    unfold reach. rewrite Rmult_comm. apply Rmult_le_compat_r; [apply norm_nonneg | exact Hx]. }
  destruct (relu_secants_between (y0 i) (reach i) _ R) as (s & Hs & E). fold (l i) (u i) in Hs.
  exists s. split; [unfold c, rho; lra | exact E].
Qed.
