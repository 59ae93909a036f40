(** What the main theorems rest on, printed by `build` and compared with assumptions.expected. *)

Require Proposition1 Proposition2 Proposition3 Proposition4 Proposition5 Proposition6.
Require Lemma1 Theorem1 Theorem2 Theorem3 ZeroPropagation SumRule RowNorms SpectralNorm LanczosCertificate Algorithm1.
Require LocalLipSdp FeedForward Structured ChainLipSdp Soundness Example.

Print Assumptions Lipschitz.bounds_are_upper_bounds.
Print Assumptions Proposition1.proposition1_constants.
Print Assumptions Proposition2.proposition2.
Print Assumptions Proposition3.proposition3_constants.
Print Assumptions Theorem1.theorem1_secants.
Print Assumptions Theorem1.theorem1.
Print Assumptions Proposition4.proposition4.
Print Assumptions Theorem2.theorem2.
Print Assumptions Theorem2.theorem2_uniform.
Print Assumptions Lemma1.lemma1.
Print Assumptions Lemma1.lemma1_attained.
Print Assumptions Theorem3.theorem3_attained.
Print Assumptions Proposition5.max_pooling_constant.
Print Assumptions Proposition5.proposition5_attained.
Print Assumptions ZeroPropagation.outputs_of_affine_relu.
Print Assumptions ZeroPropagation.zero_propagation_max_pooling.
Print Assumptions Proposition6.proposition6.
Print Assumptions Proposition6.radius_times_constant_grows.
Print Assumptions SumRule.sum_rule.
Print Assumptions RowNorms.row_norms_of_convolution.
Print Assumptions SpectralNorm.cholesky_with_shift.
Print Assumptions SpectralNorm.diagonal_dominance.
Print Assumptions SpectralNorm.norm_by_row_and_column_sums.
Print Assumptions LanczosCertificate.lanczos_inequality.
Print Assumptions LanczosCertificate.lanczos_bound_fails_rarely.
Print Assumptions Algorithm1.algorithm1_on_ball.
Print Assumptions Algorithm1.max_pooling_layer.
Print Assumptions LocalLipSdp.local_lipsdp.
Print Assumptions LocalLipSdp.local_lipsdp_of_hidden_layer.
Print Assumptions FeedForward.local_lipsdp_of_feed_forward.
Print Assumptions FeedForward.structured_bound_of_feed_forward.
Print Assumptions Structured.structured_bound.
Print Assumptions Structured.loop_norm_above_one.
Print Assumptions Structured.reaches_follow.
Print Assumptions ChainLipSdp.block_recursion.
Print Assumptions Soundness.check_sound.
Print Assumptions Example.example_bound.
