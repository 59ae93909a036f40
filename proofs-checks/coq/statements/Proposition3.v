(** Proposition 3 (composition), METHODS 2: [L(g∘f, x0, X) ≤ L(f, x0, X)·L(g, f(x0), f(X))].

    The same statement, tested on the program: proofs-checks/Propositions/Proposition3.fs. *)

Require Import Lipschitz.
Local Open Scope R_scope.

Section Composition.
Variables (n m k : nat) (f g : vector -> vector) (x0 : vector) (X : set).

Let composed := fun x => g (f x).

Theorem proposition3 Lf Lg :
  0 <= Lg -> nominal n m f x0 X Lf -> nominal m k g (f x0) (image f X) Lg ->
  nominal n k composed x0 X (Lf * Lg).
Proof.
  intros HL Hf Hg x x' [Hx ->].
  apply Rle_trans with (Lg * norm m (minus (f x) (f x0))).
  - apply Hg. split; [exists x; auto | auto].
  - rewrite (Rmult_comm Lf), Rmult_assoc. apply Rmult_le_compat_l; [exact HL|].
    apply Hf. split; auto.
Qed.

Theorem proposition3_uniform Lf Lg :
  0 <= Lg -> uniform n m f X Lf -> uniform m k g (image f X) Lg ->
  uniform n k composed X (Lf * Lg).
Proof.
  intros HL Hf Hg x x' [Hx Hx'].
  apply Rle_trans with (Lg * norm m (minus (f x) (f x'))).
  - apply Hg. split; [exists x | exists x']; auto.
  - rewrite (Rmult_comm Lf), Rmult_assoc. apply Rmult_le_compat_l; [exact HL|].
    apply Hf. split; auto.
Qed.

Theorem proposition3_constants Lf Lg L :
  is_map n m f -> is_map m k g ->
  nominal_constant n m f x0 X Lf -> nominal_constant m k g (f x0) (image f X) Lg ->
  nominal_constant n k composed x0 X L -> L <= Lf * Lg.
Proof.
  intros Mf Mg Cf Cg C.
  destruct (constant_bounds _ _ _ _ _ Mf Cf) as [Pf Bf].
  destruct (constant_bounds _ _ _ _ _ Mg Cg) as [Pg Bg].
  refine (constant_is_least _ _ _ _ _ _ _ C _ _).
  - intros x x' H. unfold composed. auto.
  - now apply Rmult_le_pos.
  - now apply proposition3.
Qed.

End Composition.
