(** [norm_holds] shows an upper bound on a spectral norm (METHODS 4, with Gershgorin's discs in place of an
    analysis of rounding). *)

From Coq Require Import ZArith NArith List Bool Reals Lra Lia Psatz.
Require Import Lipschitz Theorem2 SpectralNorm.
Require Import Checker DenseNetwork Lists.
Import ListNotations.
Local Open Scope R_scope.

Definition tail (y : vector) : vector := fun i => y (S i).

(** [Σ_i y_i·row_i]. *)
Fixpoint combination (rows : list (list Z)) (y : vector) : vector :=
  match rows with
  | [] => zero
  | row :: rest => add (scale (y O) (integers row)) (combination rest (tail y))
  end.

Lemma combination_entry rows y j :
  combination rows y j = sum (length rows) (fun i => y i * integers (nth i rows []) j).
Proof.
  revert y. induction rows as [|row rows IH]; intros y; [easy|].
  cbn [combination length]. rewrite sum_first. unfold add at 1. now rewrite IH.
Qed.

Lemma square_norm_first n y : square_norm (S n) y = y O * y O + square_norm n (tail y).
Proof. unfold square_norm, Vectors.dot. now rewrite sum_first. Qed.

Lemma square_norm_add n x y :
  square_norm n (add x y) = square_norm n x + 2 * Vectors.dot n x y + square_norm n y.
Proof.
  unfold square_norm. rewrite dot_add_l, (dot_sym n x (add x y)), (dot_sym n y (add x y)), !dot_add_l.
  rewrite (dot_sym n y x). lra.
Qed.

Lemma dot_combination N a rows y :
  (length a <= N)%nat ->
  Vectors.dot N (integers a) (combination rows y)
  = sum (length rows) (fun j => y j * IZR (Checker.dot a (nth j rows []))).
Proof.
  intros Ha. revert y. induction rows as [|row rows IH]; intros y; [apply dot_zero_r|].
  cbn [combination length]. rewrite sum_first, dot_sym, dot_add_l, dot_scale_l, dot_sym, (dot_sym N _ (integers a)), IH.
  cbn [nth]. now rewrite (dot_value N a row Ha).
Qed.

(** ** The diagonal that is left *)

Section Dominance.
Variables (square a b : Z) (N N' : nat).
Hypothesis square_nonneg : (0 <= square)%Z.

(** [square·|y|² − a·|Σ y_i m_i|² − b·|Σ y_i l_i|²] for the rows [(m, l)]. *)
Definition remainder (rows : list (list Z * list Z)) (y : vector) : R :=
  IZR square * square_norm (length rows) y
  - IZR a * square_norm N (combination (map fst rows) y)
  - IZR b * square_norm N' (combination (map snd rows) y).

Lemma left_of_diagonal_length rows : length (left_of_diagonal square a b rows) = length rows.
Proof.
  induction rows as [|[m l] rows IH]; [easy|]. cbn [left_of_diagonal length]. f_equal.
  rewrite map2_length; rewrite map_length; [easy | exact IH].
Qed.

(** [2·p·q·g ≥ −|g|·(p² + q²)]. *)
Lemma cross_term p q g : - (Rabs g * (p * p)) - Rabs g * (q * q) <= 2 * p * q * g.
Proof.
  pose proof (Rle_0_sqr (p + q)) as A. pose proof (Rle_0_sqr (p - q)) as B. unfold Rsqr in A, B.
  destruct (Rle_dec 0 g); [rewrite Rabs_pos_eq by lra | rewrite Rabs_left1 by lra]; nra.
Qed.

Lemma remainder_above rows y :
  (forall m l, In (m, l) rows -> (length m <= N)%nat /\ (length l <= N')%nat) ->
  sum (length rows) (fun i => integers (left_of_diagonal square a b rows) i * (y i * y i)) <= remainder rows y.
Proof.
  revert y. induction rows as [|[m l] rows IH]; intros y H.
  { unfold remainder. simpl. unfold square_norm, Vectors.dot, zero. simpl.
    rewrite !(sum_ext _ (fun _ => 0 * 0) (fun _ => 0)) by (intros; ring). rewrite !sum_zero. lra. }
  assert (Hrest : forall m' l', In (m', l') rows -> (length m' <= N)%nat /\ (length l' <= N')%nat).
  { intros m' l' Hin. apply H. now right. }
  destruct (H m l (or_introl eq_refl)) as [Hm Hl].
  specialize (IH (tail y) Hrest).
  set (g := fun j => IZR (a * Checker.dot m (fst (nth j rows ([], []))) + b * Checker.dot l (snd (nth j rows ([], []))))).
  set (beside := map (fun row => Z.abs (a * Checker.dot m (fst row) + b * Checker.dot l (snd row))) rows).
  assert (Hb : forall j, (j < length rows)%nat -> integers beside j = Rabs (g j)).
  { intros j Hj. unfold integers, beside, g.
    rewrite (nth_map _ rows j ([], []) 0%Z Hj).
    now rewrite abs_IZR. }
  (* the new row: its own square, and twice its product with the combination of the rest *)
  assert (R : remainder ((m, l) :: rows) y
    = (IZR square - IZR a * IZR (Checker.dot m m) - IZR b * IZR (Checker.dot l l)) * (y O * y O)
      - sum (length rows) (fun j => 2 * y O * tail y j * g j) + remainder rows (tail y)).
  { unfold remainder. cbn [map fst snd combination length].
    rewrite square_norm_first, !square_norm_add, !dot_scale_l, !dot_combination by assumption.
    unfold square_norm at 2 4. rewrite !dot_scale_l, !dot_scale_r, <- !dot_value by assumption.
    assert (G : sum (length rows) (fun j => 2 * y O * tail y j * g j)
      = 2 * y O * (IZR a * sum (length rows) (fun j => tail y j * IZR (Checker.dot m (nth j (map fst rows) [])))
                   + IZR b * sum (length rows) (fun j => tail y j * IZR (Checker.dot l (nth j (map snd rows) []))))).
    { rewrite <- !sum_scale, <- sum_plus, <- sum_scale. apply sum_ext. intros j Hj. unfold g.
      rewrite plus_IZR, !mult_IZR.
      rewrite (nth_map fst rows j ([], []) [] Hj), (nth_map snd rows j ([], []) [] Hj). ring. }
    rewrite G, !map_length. ring. }
  rewrite R. clear R. cbn [length]. rewrite sum_first.
  assert (Head : integers (left_of_diagonal square a b ((m, l) :: rows)) O
    = IZR square - IZR a * IZR (Checker.dot m m) - IZR b * IZR (Checker.dot l l) - sum (length rows) (fun j => Rabs (g j))).
  { unfold integers. cbn [left_of_diagonal nth]. fold beside. rewrite !minus_IZR, !mult_IZR, total_value.
    unfold beside at 1. rewrite map_length. f_equal. now apply sum_ext. }
  assert (Tail : forall j, (j < length rows)%nat ->
    integers (left_of_diagonal square a b ((m, l) :: rows)) (S j)
    = integers (left_of_diagonal square a b rows) j - Rabs (g j)).
  { intros j Hj. rewrite <- (Hb j Hj). unfold integers. cbn [left_of_diagonal nth]. fold beside.
    rewrite (map2_nth Z.sub _ _ j 0%Z 0%Z), minus_IZR; [easy | now rewrite left_of_diagonal_length |].
    unfold beside. now rewrite map_length. }
  rewrite Head.
  assert (T : sum (length rows) (fun j => integers (left_of_diagonal square a b ((m, l) :: rows)) (S j) * (y (S j) * y (S j)))
    = sum (length rows) (fun j => integers (left_of_diagonal square a b rows) j * (tail y j * tail y j))
      - sum (length rows) (fun j => Rabs (g j) * (tail y j * tail y j))).
  { rewrite <- sum_minus. apply sum_ext. intros j Hj. rewrite Tail by exact Hj. unfold tail. ring. }
  rewrite T.
  assert (C : sum (length rows) (fun j => 2 * y O * tail y j * g j)
    <= (y O * y O) * sum (length rows) (fun j => Rabs (g j)) + sum (length rows) (fun j => Rabs (g j) * (tail y j * tail y j))).
  { rewrite <- sum_scale, <- sum_plus. apply sum_le. intros j _.
    pose proof (cross_term (- y O) (tail y j) (g j)). nra. }
  lra.
Qed.

Lemma combination_within rows y :
  (forall m l, In (m, l) rows -> (length m <= N)%nat /\ (length l <= N')%nat) ->
  (0 <= b)%Z ->
  forallb (Z.leb 0) (left_of_diagonal square a b rows) = true ->
  IZR a * square_norm N (combination (map fst rows) y) <= IZR square * square_norm (length rows) y.
Proof.
  intros H Hb F. pose proof (remainder_above rows y H) as R. unfold remainder in R.
  assert (0 <= sum (length rows) (fun i => integers (left_of_diagonal square a b rows) i * (y i * y i))).
  { apply sum_nonneg. intros i Hi. apply Rmult_le_pos; [|apply Rle_0_sqr].
    apply IZR_le, Z.leb_le. apply (forallb_nth _ _ 0%Z i F). now rewrite left_of_diagonal_length. }
  apply IZR_le in Hb. pose proof (square_norm_nonneg N' (combination (map snd rows) y)). nra.
Qed.

End Dominance.

(** ** Rows of zeros *)

Lemma zero_row row : is_zero_row row = true -> forall j, integers row j = 0.
Proof.
  intros H j. unfold integers. destruct (Nat.lt_ge_cases j (length row)) as [Hj|Hj].
  - apply (forallb_nth _ _ 0%Z j H) in Hj. apply Z.eqb_eq in Hj. now rewrite <- Hj.
  - now rewrite nth_overflow.
Qed.

Lemma combination_without_zero_rows rows y :
  exists y',
    (forall j, combination rows y j = combination (filter (fun row => negb (is_zero_row row)) rows) y' j) /\
    square_norm (length (filter (fun row => negb (is_zero_row row)) rows)) y' <= square_norm (length rows) y.
Proof.
  revert y. induction rows as [|row rows IH]; intros y.
  { exists y. split; [easy | apply Rle_refl]. }
  destruct (IH (tail y)) as (y' & E & L). cbn [filter length].
  destruct (is_zero_row row) eqn:Z; cbn [negb].
  - exists y'. split.
    + intros j. cbn [combination]. unfold add, scale. rewrite (zero_row row Z j), E. ring.
    + rewrite square_norm_first. pose proof (Rle_0_sqr (y O)) as P. unfold Rsqr in P. lra.
  - exists (fun i => match i with O => y O | S i => y' i end). split.
    + intros j. cbn [combination]. unfold add, scale. f_equal. apply E.
    + cbn [length]. rewrite !square_norm_first. apply Rplus_le_compat; [apply Rle_refl | exact L].
Qed.

(** ** The claim about a matrix *)

Lemma longest_row (rows : list (list Z)) : exists N, forall row, In row rows -> (length row <= N)%nat.
Proof.
  induction rows as [|row rows (N & H)]; [now exists O|].
  exists (Nat.max (length row) N). intros r [->|Hr]; [lia|]. specialize (H r Hr). lia.
Qed.

Lemma norm_holds_combination rows e c N y :
  norm_holds rows e c = true ->
  (forall row, In row rows -> (length row <= N)%nat) ->
  let k := value (constant_exponent c) (constant c) in
  0 <= k /\
  square_norm N (combination rows y) <= (k * two e) * (k * two e) * square_norm (length rows) y.
Proof.
  intros H HN k. unfold norm_holds in H.
  set (live := filter (fun row => negb (is_zero_row row)) rows) in H. apply andb_prop in H. destruct H as [H F]. apply andb_prop in H. destruct H as [Hc Len].
  apply Z.leb_le in Hc. apply Nat.eqb_eq in Len.
  assert (Hk : 0 <= k) by now apply value_nonneg.
  split; [exact Hk|].
  destruct (combination_without_zero_rows rows y) as (y' & E & L). fold live in E, L.
  assert (Sq : square_norm N (combination rows y) = square_norm N (combination live y')).
  { apply dot_ext; intros j _; apply E. }
  rewrite Sq.
  destruct (longest_row (factor c)) as (N' & HN').
  assert (Fst : map fst (combine live (factor c)) = live).
  { clear -Len. revert Len. generalize (factor c). induction live as [|r rs IH]; intros [|f fs] Len; try easy.
    simpl. f_equal. apply IH. now injection Len. }
  assert (Rows : forall m l, In (m, l) (combine live (factor c)) -> (length m <= N)%nat /\ (length l <= N')%nat).
  { intros m l Hin. split.
    - apply HN. apply in_combine_l in Hin. unfold live in Hin. apply filter_In in Hin. tauto.
    - apply HN'. now apply in_combine_r in Hin. }
  assert (Count : length (combine live (factor c)) = length live).
  { rewrite combine_length. lia. }
  set (ce := constant_exponent c) in *. set (fe := factor_exponent c) in *.
  assert (B : (0 <= power2 (2 * (e + ce)))%Z).
  { apply le_IZR. rewrite power2_value. apply Rlt_le, two_positive. }
  pose proof (combination_within _ _ _ N N' (combine live (factor c)) y' Rows B F) as D.
  rewrite Fst, Count, power2_value, shift_value, !two_double, !two_add, mult_IZR in D.
  rewrite <- (value_times ce (constant c)) in D. fold k in D.
  pose proof (two_positive ce) as P1. pose proof (two_positive fe) as P2. pose proof (two_positive e) as P3.
  apply Rle_trans with (k * two e * (k * two e) * square_norm (length live) y').
  - assert (P : 0 < two ce * two fe * (two ce * two fe)) by (repeat apply Rmult_lt_0_compat; assumption).
    apply (Rmult_le_reg_l _ _ _ P). apply Rle_trans with (1 := D). apply Req_le. ring.
  - apply Rmult_le_compat_l; [apply Rle_0_sqr | exact L].
Qed.

(** Rows of the matrix itself: [M_ij = rows_ij·2^-e]. *)
Lemma norm_holds_rows m n (M : matrix) rows e c :
  norm_holds rows e c = true ->
  length rows = m -> (forall row, In row rows -> length row = n) ->
  (forall i j, (i < m)%nat -> (j < n)%nat -> M i j * two e = integers (nth i rows []) j) ->
  spectral_norm_at_most m n M (value (constant_exponent c) (constant c)).
Proof.
  intros H Hm Hn HM. set (k := value (constant_exponent c) (constant c)).
  assert (HN : forall row, In row rows -> (length row <= n)%nat) by (intros row Hr; rewrite Hn; auto).
  apply norm_of_transpose. split; [apply (norm_holds_combination rows e c n zero H HN)|]. intros y.
  destruct (norm_holds_combination rows e c n y H HN) as [Hk D]. fold k in Hk, D.
  apply norm_le_scaled; [exact Hk|]. rewrite Hm in D.
  assert (E : square_norm n (combination rows y) = two e * two e * square_norm n (apply m (transpose M) y)).
  { unfold square_norm, Vectors.dot. rewrite <- sum_scale. apply sum_ext. intros j Hj.
    assert (Ej : combination rows y j = two e * apply m (transpose M) y j).
    { rewrite combination_entry, Hm. unfold apply, Vectors.dot. rewrite <- sum_scale. apply sum_ext.
      intros i Hi. unfold transpose. rewrite <- HM by assumption. ring. }
    rewrite Ej. ring. }
  rewrite E in D. pose proof (two_positive e) as P.
  apply (Rmult_le_reg_l (two e * two e)); [now apply Rmult_lt_0_compat|].
  apply Rle_trans with (1 := D). apply Req_le. ring.
Qed.

(** Its columns. *)
Lemma norm_holds_columns m n (M : matrix) rows e c :
  norm_holds rows e c = true ->
  length rows = n -> (forall row, In row rows -> length row = m) ->
  (forall i j, (i < m)%nat -> (j < n)%nat -> M i j * two e = integers (nth j rows []) i) ->
  spectral_norm_at_most m n M (value (constant_exponent c) (constant c)).
Proof.
  intros H Hn Hm HM. apply norm_of_transpose.
  apply (norm_holds_rows n m (transpose M) rows e c H Hn Hm). intros j i Hj Hi. now apply HM.
Qed.
