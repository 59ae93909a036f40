(** Proposition 2 (radius transfer), METHODS 2: [|x − x0| ≤ ε] on [X] implies
    [|f(x) − f(x0)| ≤ ε·L(f, x0, X)].

    The same statement, tested on the program: proofs-checks/Propositions/Proposition2.fs. *)

Require Import Lipschitz.
Local Open Scope R_scope.

Theorem proposition2 n m f x0 (X : set) eps L :
  0 <= L -> (forall x, X x -> ball n x0 eps x) -> nominal n m f x0 X L ->
  forall x, X x -> norm m (minus (f x) (f x0)) <= eps * L.
Proof.
  intros HL HX H x Hx.
  apply Rle_trans with (L * norm n (minus x x0)).
  - apply H. split; auto.
  - rewrite Rmult_comm. apply Rmult_le_compat_r; [exact HL | now apply HX].
Qed.

(** So [f] sends [X] into the ball of radius [ε·L] around [f(x0)]. *)
Corollary proposition2_ball n m f x0 (X : set) eps L :
  0 <= L -> (forall x, X x -> ball n x0 eps x) -> nominal n m f x0 X L ->
  forall y, image f X y -> ball m (f x0) (eps * L) y.
Proof. intros HL HX H y (x & Hx & ->). now apply (proposition2 n m f x0 X). Qed.
