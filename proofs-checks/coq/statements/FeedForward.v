(** Networks whose units read the inputs and the units before them, and their linear representation (METHODS 7 and 14a):
    increments as linear functions of those of the input and of residuals. Chains, sums of branches and skips are such networks.

    The same statement, tested on the program: proofs-checks/Propositions/LocalLipSdp.fs. *)

From Coq Require Import Psatz Wf_nat.
Require Import Lipschitz SpectralNorm LocalLipSdp Structured.
Local Open Scope R_scope.

(** ** Numbers that are computed one after the other *)

(** Number [j] is [step j v], where [v] has the numbers before it. *)
Fixpoint in_order (step : nat -> vector -> R) (count : nat) : vector :=
  match count with
  | O => zero
  | S j => fun l => if Nat.eqb l j then step j (in_order step j) else in_order step j l
  end.

Definition reads_before (step : nat -> vector -> R) : Prop :=
  forall j v v', same j v v' -> step j v = step j v'.

Lemma in_order_at step count l : (l < count)%nat -> in_order step count l = step l (in_order step l).
Proof.
  induction count as [|j IH]; intros H; [lia|]. cbn [in_order].
  destruct (Nat.eqb_spec l j) as [->|]; [easy|]. apply IH. lia.
Qed.

Lemma in_order_equation step count l :
  reads_before step -> (l < count)%nat -> in_order step count l = step l (in_order step count).
Proof.
  intros R H. rewrite in_order_at by exact H. apply R. intros r Hr.
  rewrite !in_order_at by lia. reflexivity.
Qed.

(** ** The network *)

Section Network.
Variables (n k m : nat) (input_weights unit_weights output_of_inputs output_of_units : matrix).
Variables (bias output_bias : vector) (act : nat -> R -> R).

(** [z_i = ⟨h_i, x⟩ + Σ_{j<i} g_ij σ_j(z_j) + b_i]. *)
Definition unit_step (x : vector) (i : nat) (z : vector) : R :=
  dot n (input_weights i) x + sum i (fun j => unit_weights i j * act j (z j)) + bias i.

Definition pre_activations (x : vector) : vector := in_order (unit_step x) k.

(** [f(x) = M x + T σ(z) + b]. *)
Definition feed_forward (x : vector) : vector := fun o =>
  dot n (output_of_inputs o) x + dot k (output_of_units o) (fun i => act i (pre_activations x i)) + output_bias o.

Lemma pre_activations_equation x i : (i < k)%nat -> pre_activations x i = unit_step x i (pre_activations x).
Proof.
  apply in_order_equation. intros j v v' S. unfold unit_step. f_equal. f_equal.
  apply sum_ext. intros r Hr. now rewrite S.
Qed.

(** ** Elimination of the centres *)

Variables (c rho : vector).

(** Column [col] of the solution of [δz = base + g (c∘δz)]. *)
Definition elimination_step (base : vector) (i : nat) (z : vector) : R :=
  base i + sum i (fun j => unit_weights i j * c j * z j).

Definition eliminated (base : matrix) : matrix := fun i col => in_order (elimination_step (fun l => base l col)) k i.

Lemma eliminated_equation base i col : (i < k)%nat ->
  eliminated base i col = base i col + sum i (fun j => unit_weights i j * c j * eliminated base j col).
Proof.
  intros Hi. unfold eliminated at 1. rewrite in_order_equation; [reflexivity| |exact Hi].
  intros j v v' S. unfold elimination_step. f_equal. apply sum_ext. intros r Hr. now rewrite S.
Qed.

(** Weights of units before. *)
Definition before_only : matrix := fun i j => if Nat.ltb j i then unit_weights i j else 0.

Definition H : matrix := eliminated input_weights.
Definition G : matrix := eliminated before_only.

Lemma sum_before i w : (i <= k)%nat -> dot k (before_only i) w = sum i (fun j => unit_weights i j * w j).
Proof.
  intros Hi. replace k with (i + (k - i))%nat by lia. unfold dot. rewrite sum_blocks.
  assert (Z : sum (k - i) (fun j => before_only i (i + j)%nat * w (i + j)%nat) = 0).
  { rewrite (sum_ext _ _ (fun _ => 0)); [apply sum_zero|]. intros j _. unfold before_only.
    destruct (Nat.ltb_spec (i + j) i); [lia|ring]. }
  rewrite Z, Rplus_0_r. apply sum_ext. intros j Hj. unfold before_only.
  destruct (Nat.ltb_spec j i); [easy|lia].
Qed.

(** A row of the solution, applied. *)
Lemma dot_eliminated count base i (v : vector) : (i < k)%nat ->
  dot count (eliminated base i) v = dot count (base i) v + sum i (fun j => unit_weights i j * c j * dot count (eliminated base j) v).
Proof.
  intros Hi. unfold dot.
  transitivity (sum count (fun l => base i l * v l + sum i (fun j => unit_weights i j * c j * (eliminated base j l * v l)))).
  - apply sum_ext. intros l _. rewrite eliminated_equation by exact Hi.
    rewrite Rmult_plus_distr_r. f_equal. rewrite Rmult_comm, <- sum_scale. apply sum_ext. intros. ring.
  - rewrite sum_plus. f_equal. rewrite sum_swap. apply sum_ext. intros j _. now rewrite sum_scale.
Qed.

(** Residuals of the activations: what is left of their increments beside [c∘δz]. *)
Definition residuals (x x' : vector) : vector := fun j =>
  act j (pre_activations x j) - act j (pre_activations x' j) - c j * (pre_activations x j - pre_activations x' j).

Lemma residual_at x x' j dz : pre_activations x j - pre_activations x' j = dz ->
  residuals x x' j = act j (pre_activations x j) - act j (pre_activations x' j) - c j * dz.
Proof. now intros <-. Qed.

Lemma increments_are_linear x x' i : (i < k)%nat ->
  pre_activations x i - pre_activations x' i = apply n H (minus x x') i + apply k G (residuals x x') i.
Proof.
  induction i as [i IH] using lt_wf_ind. intros Hi.
  rewrite (pre_activations_equation x i Hi), (pre_activations_equation x' i Hi).
  unfold apply, H, G. rewrite !dot_eliminated by exact Hi.
  rewrite dot_minus_r, sum_before by lia. unfold unit_step.
  transitivity (dot n (input_weights i) x - dot n (input_weights i) x'
    + sum i (fun j => unit_weights i j * (act j (pre_activations x j) - act j (pre_activations x' j)))).
  { rewrite (sum_ext i (fun j => unit_weights i j * (act j (pre_activations x j) - act j (pre_activations x' j)))
      (fun j => unit_weights i j * act j (pre_activations x j) - unit_weights i j * act j (pre_activations x' j))) by (intros; ring).
    rewrite sum_minus. ring. }
  rewrite Rplus_assoc. f_equal. rewrite <- !sum_plus. apply sum_ext. intros j Hj.
  rewrite (residual_at x x' j (apply n H (minus x x') j + apply k G (residuals x x') j)) by (apply IH; lia).
  unfold apply, H, G. ring.
Qed.

(** The matrices of METHODS 7. *)
Definition M : matrix := fun o col => output_of_inputs o col + sum k (fun j => output_of_units o j * c j * H j col).
Definition T : matrix := fun o col => output_of_units o col + sum k (fun j => output_of_units o j * c j * G j col).

Lemma dot_through count (base rows : matrix) o (v : vector) :
  dot count (fun col => base o col + sum k (fun j => output_of_units o j * c j * rows j col)) v
  = dot count (base o) v + sum k (fun j => output_of_units o j * c j * dot count (rows j) v).
Proof.
  unfold dot.
  transitivity (sum count (fun l => base o l * v l + sum k (fun j => output_of_units o j * c j * (rows j l * v l)))).
  - apply sum_ext. intros l _. rewrite Rmult_plus_distr_r. f_equal.
    rewrite Rmult_comm, <- sum_scale. apply sum_ext. intros. ring.
  - rewrite sum_plus. f_equal. rewrite sum_swap. apply sum_ext. intros j _. now rewrite sum_scale.
Qed.

(** Every network of this kind has the representation of METHODS 7, for any centres and half-widths of its slopes. *)
Theorem representation_of_feed_forward (P : vector -> vector -> Prop) :
  (forall x x' i, P x x' -> (i < k)%nat ->
    exists s, c i - rho i <= s <= c i + rho i /\
      act i (pre_activations x i) - act i (pre_activations x' i) = s * (pre_activations x i - pre_activations x' i)) ->
  representation n k m feed_forward pre_activations act P c rho
    M T (fun i col => rho i * H i col) (fun i col => rho i * G i col).
Proof.
  intros Slopes. split; [| |exact Slopes].
  - intros x x' o _ _. fold (residuals x x'). unfold minus at 1, feed_forward, apply, M, T.
    rewrite !dot_through, dot_minus_r.
    transitivity (dot n (output_of_inputs o) x - dot n (output_of_inputs o) x'
      + sum k (fun j => output_of_units o j * (act j (pre_activations x j) - act j (pre_activations x' j)))).
    { unfold dot at 2 4. rewrite (sum_ext k (fun j => output_of_units o j * (act j (pre_activations x j) - act j (pre_activations x' j)))
        (fun j => output_of_units o j * act j (pre_activations x j) - output_of_units o j * act j (pre_activations x' j))) by (intros; ring).
      rewrite sum_minus. ring. }
    rewrite Rplus_assoc. f_equal. unfold dot at 2. rewrite <- !sum_plus. apply sum_ext. intros j Hj.
    rewrite (residual_at x x' j _ (increments_are_linear x x' j Hj)). unfold apply. ring.
  - intros x x' i _ Hi. fold (residuals x x'). rewrite (increments_are_linear x x' i Hi).
    unfold apply. rewrite Rmult_plus_distr_l. unfold dot. rewrite <- !sum_scale.
    f_equal; apply sum_ext; intros; ring.
Qed.

(** So [F(γ², t) ⪰ 0] bounds the constant of every such network. *)
Corollary local_lipsdp_of_feed_forward (P : vector -> vector -> Prop) gamma t :
  (forall x x' i, P x x' -> (i < k)%nat ->
    exists s, c i - rho i <= s <= c i + rho i /\
      act i (pre_activations x i) - act i (pre_activations x' i) = s * (pre_activations x i - pre_activations x' i)) ->
  0 <= gamma -> (forall i, (i < k)%nat -> 0 <= t i) ->
  positive_semidefinite (n + k)
    (inequality_matrix n k m M T (fun i col => rho i * H i col) (fun i col => rho i * G i col) (gamma * gamma) t) ->
  bounds_slopes n m feed_forward P gamma.
Proof. intros Slopes. apply local_lipsdp with (1 := representation_of_feed_forward P Slopes). Qed.

(** And so does a loop of norm at most 1 (METHODS 14a), with centres [c] and half-widths [rho]. *)
Corollary structured_bound_of_feed_forward (P : vector -> vector -> Prop) D L :
  (forall x x' i, P x x' -> (i < k)%nat ->
    exists s, c i - rho i <= s <= c i + rho i /\
      act i (pre_activations x i) - act i (pre_activations x' i) = s * (pre_activations x i - pre_activations x' i)) ->
  0 < L -> (forall i, (i < k)%nat -> 0 < D i) ->
  loop_is_contraction n k m M T H G D rho L ->
  bounds_slopes n m feed_forward P L.
Proof.
  intros Slopes HL HD K.
  destruct (representation_of_feed_forward P Slopes) as [Outputs _ _].
  apply (structured_bound n k m M T H G D rho L feed_forward P HL HD K).
  intros x x' HP. exists (residuals x x'). split.
  - intros i Hi. unfold before_bends, add. rewrite <- (increments_are_linear x x' i Hi).
    destruct (Slopes x x' i HP Hi) as (s & Hs & E). unfold residuals. rewrite E.
    replace (s * (pre_activations x i - pre_activations x' i) - c i * (pre_activations x i - pre_activations x' i))
      with ((s - c i) * (pre_activations x i - pre_activations x' i)) by ring.
    rewrite !Rabs_mult. apply Rmult_le_compat_r; [apply Rabs_pos|].
    apply Rle_trans with (rho i); [apply Rabs_le; lra | apply Rle_abs].
  - intros o Ho. now apply Outputs.
Qed.

End Network.
