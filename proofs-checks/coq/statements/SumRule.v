(** Sums of branches, METHODS 2: [L(g + h) ≤ L(g) + L(h)].

    The same statement, tested on the program: proofs-checks/Propositions/SumRule.fs. *)

Require Import Lipschitz.
Local Open Scope R_scope.

Theorem sum_rule n m (g h : vector -> vector) P Lg Lh :
  bounds_slopes n m g P Lg -> bounds_slopes n m h P Lh ->
  bounds_slopes n m (fun x => add (g x) (h x)) P (Lg + Lh).
Proof.
  intros Hg Hh x x' HP.
  rewrite (norm_ext m _ (add (minus (g x) (g x')) (minus (h x) (h x')))).
  - apply Rle_trans with (1 := norm_triangle m _ _).
    rewrite Rmult_plus_distr_r. apply Rplus_le_compat; auto.
  - intros i _. unfold add, minus. ring.
Qed.

Corollary sum_rule_constants n m g h x0 X Lg Lh L :
  is_map n m g -> is_map n m h ->
  nominal_constant n m g x0 X Lg -> nominal_constant n m h x0 X Lh ->
  nominal_constant n m (fun x => add (g x) (h x)) x0 X L -> L <= Lg + Lh.
Proof.
  intros Mg Mh Cg Ch C.
  destruct (constant_bounds _ _ _ _ _ Mg Cg) as [Pg Bg].
  destruct (constant_bounds _ _ _ _ _ Mh Ch) as [Ph Bh].
  refine (constant_is_least _ _ _ _ _ _ _ C _ _).
  - intros x x' H i Hi. unfold add. rewrite (Mg x x' H i Hi), (Mh x x' H i Hi). reflexivity.
  - lra.
  - now apply sum_rule.
Qed.

(** A sum of affine branches is affine: the norm of the sum of their matrices bounds it, too. *)
Lemma sum_of_applied n A B x i :
  apply n A x i + apply n B x i = apply n (fun i j => A i j + B i j) x i.
Proof. unfold apply, dot. rewrite <- sum_plus. apply sum_ext. intros. ring. Qed.
