(** Proposition 1 (superset), METHODS 2: [X ⊆ X̄ ⇒ L(f, x0, X) ≤ L(f, x0, X̄)].

    The same statement, tested on the program: proofs-checks/Propositions/Proposition1.fs. *)

Require Import Lipschitz.
Local Open Scope R_scope.

Section Superset.
Variables (n m : nat) (f : vector -> vector) (x0 : vector) (X Y : set).
Hypothesis inside : forall x, X x -> Y x.

Theorem proposition1 L : nominal n m f x0 Y L -> nominal n m f x0 X L.
Proof. intros H x x' [Hx ->]. apply H. split; auto. Qed.

Theorem proposition1_uniform L : uniform n m f Y L -> uniform n m f X L.
Proof. intros H x x' [Hx Hx']. apply H. split; auto. Qed.

Theorem proposition1_constants L L' :
  nominal_constant n m f x0 X L -> nominal_constant n m f x0 Y L' -> L <= L'.
Proof.
  intros [_ least] [upper _]. apply least. intros s [->|(x & x' & [Hx ->] & H)].
  - apply upper. now left.
  - apply upper. right. exists x, x0. repeat split; auto; apply H.
Qed.

End Superset.
