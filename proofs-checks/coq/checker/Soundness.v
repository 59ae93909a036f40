(** What the checker accepts holds. *)

From Coq Require Import ZArith NArith List Bool Reals Lra Lia Psatz.
Require Import Lipschitz Theorem2 Algorithm1.
Require Import Checker DenseNetwork Lists NormSoundness LayerSoundness.
Import ListNotations.
Local Open Scope R_scope.

Definition definition_of (uniform : bool) : definition := if uniform then Uniform else Nominal.

(** ** Integers that are compared stand for numbers that are *)

Lemma stays_off_sound y ye t te :
  stays_off (shift y te) (shift t ye) = true <-> value ye y + value te t <= 0.
Proof.
  unfold stays_off. rewrite Z.leb_le. pose proof (two_positive ye) as P. pose proof (two_positive te) as Q.
  assert (E : IZR (shift y te + shift t ye) = (value ye y + value te t) * (two ye * two te)).
  { rewrite plus_IZR, !shift_value, <- (value_times ye y), <- (value_times te t). ring. }
  assert (PQ : 0 < two ye * two te) by now apply Rmult_lt_0_compat.
  split; intros H.
  - apply IZR_le in H. rewrite E in H. nra.
  - apply le_IZR. rewrite E. nra.
Qed.

Lemma slope_holds_sound uniform re ye te y t r :
  slope_holds uniform re (shift y te) (shift t ye) r = true ->
  slope_bounds (definition_of uniform) (value ye y) (value te t) (value re r).
Proof.
  unfold slope_holds. rewrite andb_true_iff, !orb_true_iff, andb_true_iff, orb_true_iff, andb_true_iff.
  rewrite stays_off_sound. intros [Hr H].
  pose proof (two_positive ye) as Py. pose proof (two_positive te) as Pt. pose proof (two_positive re) as Pr.
  split; [apply value_nonneg; now apply Z.leb_le|].
  destruct H as [[H|H]|[Hn H]].
  - now left.
  - right. left. apply Z.leb_le, IZR_le in H. rewrite power2_value, <- (value_times re r) in H.
    apply (Rmult_le_reg_r (two re)); lra.
  - right. right. destruct uniform; [discriminate|]. split; [reflexivity|].
    destruct H as [H|[Hy H]].
    + left. apply Z.eqb_eq in H. apply (f_equal IZR) in H. rewrite shift_value, <- (value_times te t) in H.
      apply Rmult_integral in H. destruct H as [H|H]; [|lra].
      apply Rmult_integral in H. destruct H as [H|H]; lra.
    + right. apply Z.leb_le, IZR_le in Hy, H. split.
      * rewrite shift_value, <- (value_times ye y) in Hy.
        apply (Rmult_le_reg_r (two ye * two te)); [now apply Rmult_lt_0_compat|]. lra.
      * rewrite shift_value, plus_IZR, mult_IZR, !shift_value in H.
        rewrite <- (value_times ye y), <- (value_times te t), <- (value_times re r) in H.
        apply (Rmult_le_reg_r (two ye * two te * two re)); [repeat apply Rmult_lt_0_compat; assumption|]. lra.
Qed.

Lemma reach_holds_sound l live eps ee te row t n :
  length row = n -> length live = n -> (0 <= eps)%Z ->
  reach_holds l live eps ee te row t = true ->
  value ee eps * norm n (diag (mask_of live) (vector_of (weight_exponent l) row)) <= value te t.
Proof.
  intros Hn Hlive Heps H. unfold reach_holds in H. apply andb_prop in H. destruct H as [Ht H].
  apply Z.leb_le in Ht, H. apply IZR_le in H. cbv zeta in H.
  set (we := weight_exponent l) in *. set (a := masked live row) in *.
  assert (Ha : length a = n) by (unfold a, masked; rewrite map2_length; congruence).
  rewrite !shift_value, !mult_IZR, (dot_value n a a), !two_double, two_add in H by lia.
  rewrite <- (value_times ee eps), <- (value_times te t) in H.
  set (v := diag (mask_of live) (vector_of we row)).
  assert (E : Vectors.dot n (integers a) (integers a) = two we * two we * square_norm n v).
  { unfold square_norm, Vectors.dot. rewrite <- sum_scale. apply sum_ext. intros j _.
    unfold a. rewrite masked_integers by congruence. unfold v, diag.
    rewrite <- (vector_of_integers we row j). ring. }
  rewrite E in H.
  pose proof (two_positive we) as Pw. pose proof (two_positive ee) as Pe. pose proof (two_positive te) as Pt.
  assert (P : 0 < two we * two ee * two te) by (repeat apply Rmult_lt_0_compat; assumption).
  assert (Hv : 0 <= value te t) by now apply value_nonneg.
  apply Rsqr_incr_0_var; [|exact Hv]. unfold Rsqr.
  apply (Rmult_le_reg_r ((two we * two ee * two te) * (two we * two ee * two te))); [now apply Rmult_lt_0_compat|].
  rewrite <- norm_square in H. lra.
Qed.

(** ** One layer *)

Section Layer.
Variables (l : layer) (x : list Z) (xe : N) (x0 : vector).
Hypothesis Hx : same (length x) x0 (vector_of xe x).

Let n := length x.
Let m := length (weights l).
Let we := weight_exponent l.
Let A := matrix_of we (weights l).
Let b := vector_of we (bias l).

Lemma nominal_values_length : length (bias l) = m -> length (nominal_values l x xe) = m.
Proof. intros H. unfold nominal_values. rewrite map2_length; [exact H | now rewrite H]. Qed.

Lemma nominal_values_sound i :
  length (bias l) = m -> (forall row, In row (weights l) -> length row = n) -> (i < m)%nat ->
  vector_of (we + xe) (nominal_values l x xe) i = affine n A b x0 i.
Proof.
  intros Hb Hrow Hi. unfold vector_of at 1, nominal_values.
  rewrite (map2_nth _ (weights l) (bias l) i [] 0%Z) by (fold m; lia).
  assert (R : length (nth i (weights l) []) = n) by (apply Hrow, nth_In; exact Hi).
  pose proof (two_positive we) as Pw. pose proof (two_positive xe) as Px.
  apply (Rmult_eq_reg_r (two (we + xe))); [|rewrite two_add; nra].
  rewrite value_times, plus_IZR, shift_value, (dot_value n) by lia.
  unfold affine, apply. rewrite (dot_ext n (A i) x0 (A i) (vector_of xe x) (fun _ _ => eq_refl) Hx).
  rewrite two_add, Rmult_plus_distr_r. f_equal.
  - unfold Vectors.dot. rewrite Rmult_comm, <- sum_scale. apply sum_ext. intros j _.
    rewrite <- (vector_of_integers we), <- (vector_of_integers xe). unfold A, matrix_of. ring.
  - rewrite <- (value_times we). unfold b, vector_of. ring.
Qed.

Variables (uniform : bool) (live : list bool) (eps : Z) (ee : N) (c : layer_certificate).
Hypothesis Hlive : length live = n.
Hypothesis Heps : (0 <= eps)%Z.
Hypothesis Holds : layer_holds uniform l (nominal_values l x xe) (we + xe) n live eps ee c = true.

Let r := vector_of (slope_exponent c) (slopes c).
Let k := value (constant_exponent c) (constant c).

Lemma layer_shapes :
  (forall row, In row (weights l) -> length row = n) /\ length (bias l) = m /\ length (slopes c) = m.
Proof.
  unfold layer_holds in Holds. rewrite !andb_true_iff in Holds.
  destruct Holds as [[[[H1 H2] H3] _] _]. repeat split.
  - intros row Hr. rewrite forallb_forall in H1. now apply Nat.eqb_eq, H1.
  - now apply Nat.eqb_eq.
  - now apply Nat.eqb_eq.
Qed.

(** [R A D]. *)
Lemma restricted_rows_shape :
  let rows := map2 (restricted_row live) (slopes c) (weights l) in
  length rows = m /\ (forall row, In row rows -> length row = n) /\
  (forall i j, (i < m)%nat -> (j < n)%nat ->
     scaled r A (mask_of live) i j * two (slope_exponent c + we) = integers (nth i rows []) j).
Proof.
  destruct layer_shapes as (Hrow & _ & Hs). intros rows.
  assert (Hm : length rows = m) by (unfold rows; rewrite map2_length; easy).
  assert (Nth : forall i, (i < m)%nat -> nth i rows [] = restricted_row live (nth i (slopes c) 0%Z) (nth i (weights l) [])).
  { intros i Hi. apply map2_nth; [now rewrite Hs | exact Hi]. }
  assert (Len : forall i, (i < m)%nat -> length (nth i (weights l) []) = n) by (intros; now apply Hrow, nth_In).
  repeat split; [exact Hm | |].
  - intros row Hr. apply (In_nth _ _ []) in Hr. destruct Hr as (i & Hi & <-). rewrite Hm in Hi.
    rewrite Nth by exact Hi. unfold restricted_row, masked. rewrite map2_length; rewrite map_length; rewrite Len; auto.
  - intros i j Hi Hj. rewrite Nth by exact Hi. unfold restricted_row.
    rewrite masked_integers by (rewrite map_length, Len; auto).
    unfold integers. rewrite (nth_map _ _ j 0%Z) by (rewrite Len; auto). rewrite mult_IZR, two_add.
    rewrite <- (value_times (slope_exponent c)), <- (value_times we). unfold scaled, r, A, matrix_of, vector_of. ring.
Qed.

Lemma restricted_norm : spectral_norm_at_most m n (scaled r A (mask_of live)) k.
Proof.
  destruct restricted_rows_shape as (Hm & Hn & He).
  pose proof Holds as H. unfold layer_holds in H. rewrite !andb_true_iff in H. destruct H as [_ H].
  fold we n in H. destruct (transposed c).
  - destruct (columns_shape n _ Hn) as (L & C & E).
    apply (norm_holds_columns m n _ _ _ c H L).
    + intros row Hr. apply (In_nth _ _ []) in Hr. destruct Hr as (j & Hj & <-). rewrite L in Hj.
      rewrite C by exact Hj. exact Hm.
    + intros i j Hi Hj. rewrite He by assumption. unfold integers. now rewrite E.
  - now apply (norm_holds_rows m n _ _ _ c H Hm Hn).
Qed.

(** What is known behind the layer: nominal values, and coordinates that may differ from zero. *)
Definition next_values : list Z :=
  if rectified l then map (Z.max 0) (nominal_values l x xe) else nominal_values l x xe.

Definition next_live : list bool :=
  if rectified l then
    map2 (fun y t => negb (stays_off (shift y (reach_exponent c)) (shift t (we + xe))))
      (nominal_values l x xe) (reaches c)
  else map (fun _ => true) (nominal_values l x xe).

Lemma relu_value e y : value e (Z.max 0 y) = relu (value e y).
Proof.
  pose proof (two_positive e) as P. destruct (Z.max_spec 0 y) as [[H ->]|[H ->]].
  - symmetry. apply relu_positive, value_nonneg. lia.
  - symmetry. assert (value e y <= 0).
    { apply IZR_le in H. rewrite <- (value_times e y) in H. nra. }
    rewrite relu_negative by assumption. unfold value, Rdiv. now rewrite Rmult_0_l.
Qed.

Theorem layer_sound :
  layer_bound (definition_of uniform) n m (layer_map n l) x0 (mask_of live) (value ee eps) k (mask_of next_live)
  /\ same (length next_values) (layer_map n l x0) (vector_of (we + xe) next_values)
  /\ length next_values = m /\ length next_live = m.
Proof.
  destruct layer_shapes as (Hrow & Hb & Hs).
  pose proof (nominal_values_length Hb) as Hy.
  assert (Hv : forall i, (i < m)%nat -> value (we + xe) (nth i (nominal_values l x xe) 0%Z) = affine n A b x0 i).
  { intros i Hi. now apply nominal_values_sound. }
  assert (He : 0 <= value ee eps) by now apply value_nonneg.
  pose proof (mask_of_is_mask n live) as Hd.
  pose proof restricted_norm as Norm.
  pose proof Holds as H. unfold layer_holds in H. rewrite !andb_true_iff in H. destruct H as [[_ H] _].
  unfold next_values, next_live, layer_map. destruct (rectified l) eqn:Rect.
  - apply andb_prop in H. destruct H as [HR HS].
    destruct (all2_nth _ _ _ [] 0%Z HR) as [Lt Reach]. fold m in Lt, Reach.
    assert (Ly : length (combine (nominal_values l x xe) (reaches c)) = m) by (rewrite combine_length; lia).
    destruct (all2_nth _ _ _ (0%Z, 0%Z) 0%Z HS) as [_ Slope]. rewrite Ly in Slope.
    set (t := vector_of (reach_exponent c) (reaches c)).
    assert (Live : length (map2 (fun y t => negb (stays_off (shift y (reach_exponent c)) (shift t (we + xe))))
                     (nominal_values l x xe) (reaches c)) = m) by (rewrite map2_length; lia).
    split; [|split; [|split; [now rewrite map_length | exact Live]]].
    + apply (rectified_layer_bound (definition_of uniform) n m A b x0 (mask_of live) (value ee eps) k Hd He t r).
      * intros i Hi. unfold reach. apply (reach_holds_sound l live eps ee); auto.
        now apply Hrow, nth_In.
      * intros i Hi. rewrite <- Hv by exact Hi. unfold t, r, vector_of. apply slope_holds_sound.
        specialize (Slope i Hi). rewrite combine_nth in Slope by lia. exact Slope.
      * apply mask_of_is_mask.
      * intros i Hi E. rewrite <- Hv by exact Hi. unfold t, vector_of. apply stays_off_sound.
        unfold mask_of in E.
        rewrite (map2_nth _ (nominal_values l x xe) (reaches c) i 0%Z 0%Z false) in E by lia.
        destruct (stays_off _ _); [easy|]. simpl in E. lra.
      * exact Norm.
    + intros i Hi. rewrite map_length, Hy in Hi. cbv zeta. fold we A b.
      unfold vector_of. rewrite (nth_map _ _ i 0%Z) by lia. rewrite relu_value. f_equal.
      symmetry. now apply Hv.
  - split; [|split; [|split; [exact Hy | now rewrite map_length]]].
    + assert (B : layer_bound (definition_of uniform) n m (affine n A b) x0 (mask_of live) (value ee eps) k (fun _ => 1)).
      { apply bare_layer_bound with r; [exact Hd | exact He | | exact Norm].
        intros i Hi. apply (forallb_nth _ _ 0%Z i) in H; [|lia].
        apply Z.leb_le, IZR_le in H. rewrite power2_value, <- (value_times (slope_exponent c)) in H.
        pose proof (two_positive (slope_exponent c)). unfold r, vector_of.
        apply (Rmult_le_reg_r (two (slope_exponent c))); lra. }
      assert (M : forall i, (i < m)%nat -> mask_of (map (fun _ => true) (nominal_values l x xe)) i = 1).
      { intros i Hi. unfold mask_of. now rewrite (nth_map _ _ i 0%Z) by lia. }
      destruct B as [B1 B2 _ B4]. split; [exact B1 | exact B2 | apply mask_of_is_mask |].
      intros z Hz. destruct (B4 z Hz) as (delta & Hn & Hs'). exists delta. split; [exact Hn|].
      intros i Hi. specialize (Hs' i Hi). unfold add, diag in *. now rewrite M.
    + intros i Hi. rewrite Hy in Hi. cbv zeta. fold we A b. symmetry. now apply Hv.
Qed.

End Layer.

(** ** The walk *)

Theorem walk_sound uniform layers : forall certificates x xe live eps ee product exponent x0,
  same (length x) x0 (vector_of xe x) -> length live = length x -> (0 <= eps)%Z ->
  walk uniform layers certificates x xe live eps ee = Some (product, exponent) ->
  algorithm1 (definition_of uniform) (length x) x0 (mask_of live) (value ee eps)
    (outputs (length x) layers) (network_map (length x) layers) (value exponent product).
Proof.
  induction layers as [|l layers IH]; intros [|c certificates] x xe live eps ee product exponent x0 Hx Hlive Heps W;
    cbn [walk] in W; try discriminate.
  - injection W as <- <-. cbn [outputs network_map].
    replace (value 0 1) with 1 by (unfold value; simpl; field). apply no_layer.
  - destruct (layer_holds uniform l (nominal_values l x xe) (weight_exponent l + xe) (length x) live eps ee c) eqn:H;
      [|discriminate].
    destruct (layer_sound l x xe x0 Hx uniform live eps ee c Hlive Heps H) as (B & S & Lv & Ll).
    assert (Hc : (0 <= constant c)%Z).
    { unfold layer_holds in H. apply andb_prop in H. destruct H as [_ H].
      unfold norm_holds in H. apply andb_prop in H. destruct H as [H _]. apply andb_prop in H. destruct H as [H _].
      now apply Z.leb_le. }
    assert (Step : forall product' exponent',
      walk uniform layers certificates (next_values l x xe) (weight_exponent l + xe) (next_live l x xe c)
        (eps * constant c) (ee + constant_exponent c) = Some (product', exponent') ->
      algorithm1 (definition_of uniform) (length x) x0 (mask_of live) (value ee eps)
        (outputs (length x) (l :: layers)) (network_map (length x) (l :: layers))
        (value (constant_exponent c + exponent') (constant c * product'))).
    { intros product' exponent' W'.
      assert (Radius : value (ee + constant_exponent c) (eps * constant c) = value ee eps * value (constant_exponent c) (constant c)).
      { pose proof (two_positive ee). pose proof (two_positive (constant_exponent c)).
        apply (Rmult_eq_reg_r (two (ee + constant_exponent c))); [|rewrite two_add; nra].
        rewrite value_times, mult_IZR, two_add, <- (value_times ee eps), <- (value_times (constant_exponent c) (constant c)). ring. }
      assert (Product : value (constant_exponent c + exponent') (constant c * product')
        = value (constant_exponent c) (constant c) * value exponent' product').
      { pose proof (two_positive exponent'). pose proof (two_positive (constant_exponent c)).
        apply (Rmult_eq_reg_r (two (constant_exponent c + exponent'))); [|rewrite two_add; nra].
        rewrite value_times, mult_IZR, two_add, <- (value_times exponent' product'), <- (value_times (constant_exponent c) (constant c)). ring. }
      rewrite Product. cbn [outputs network_map].
      apply next_layer with (length (weights l)) (mask_of (next_live l x xe c)); [exact B|].
      rewrite <- Radius, <- Lv. apply (IH certificates _ (weight_exponent l + xe)%N) with (exponent := exponent'); auto.
      - congruence.
      - now apply Z.mul_nonneg_nonneg. }
    unfold next_values, next_live in Step.
    destruct (rectified l);
      destruct (walk _ _ _ _ _ _ _ _) as [[product' exponent']|] eqn:W' in W; try discriminate;
      injection W as <- <-; now apply Step.
Qed.

(** The theorem: an accepted statement holds. *)
Theorem check_sound s certificates :
  check s certificates = true -> local_constant_at_most s.
Proof.
  unfold check. intros H. apply andb_prop in H. destruct H as [Hr H]. apply Z.leb_le in Hr.
  destruct (walk _ _ _ _ _ _ _ _) as [[product exponent]|] eqn:W in H; [|discriminate].
  unfold local_constant_at_most. set (n := length (point s)) in *.
  set (x0 := vector_of (statement_exponent s) (point s)).
  assert (B := walk_sound _ _ _ _ _ _ _ _ _ _ x0 (fun _ _ => eq_refl) ltac:(now rewrite map_length) Hr W).
  fold n in B. apply algorithm1_bounds in B.
  assert (L : value exponent product <= value (statement_exponent s) (bound s)).
  { apply Z.leb_le, IZR_le in H. rewrite !shift_value in H.
    rewrite <- (value_times exponent product), <- (value_times (statement_exponent s) (bound s)) in H.
    pose proof (two_positive exponent). pose proof (two_positive (statement_exponent s)).
    apply (Rmult_le_reg_r (two exponent * two (statement_exponent s))); [now apply Rmult_lt_0_compat | lra]. }
  intros y y' HP. apply Rle_trans with (value exponent product * norm n (minus y y')).
  - apply B.
    assert (E : forall z, ball n x0 (value (statement_exponent s) (radius s)) z ->
      restricted_ball n x0 (mask_of (map (fun _ => true) (point s))) (value (statement_exponent s) (radius s)) z).
    { intros z Hz. apply restricted_ball_points; [apply mask_of_is_mask|]. split; [exact Hz|].
      intros i Hi E. unfold mask_of in E. rewrite (nth_map _ _ i 0%Z) in E by exact Hi. lra. }
    unfold definition_of. destruct (uniformly s); destruct HP as [Hy Hy']; split; auto.
  - apply Rmult_le_compat_r; [apply norm_nonneg | exact L].
Qed.
