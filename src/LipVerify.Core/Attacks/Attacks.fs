/// Upper bounds on the least adversarial perturbation (METHODS section 8).
module LipVerify.Core.Attacks.Attacks

open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// The adversarial example that an attack finds closest to `input` in the 2-norm, inside the box where one is given (it must contain the
/// input). None is an ordinary outcome: the attack found nothing, which proves nothing.
let run
    (context: Context)
    attack
    (network: Network)
    (input: Tensor)
    (box: Box option)
    (effort: AttackEffort)
    : AdversarialExample option =
    let problem = AttackProblem.create context network input box
    context.Report $"attack {Attack.name attack}"

    if not (AttackProblem.hasOtherClass problem) then
        None
    else
        match attack with
        | FastGradientSign -> FastGradientSign.run context problem effort
        | IteratedFastGradientSign -> FastGradientSign.iterate context problem effort
        | GradientAscent -> ClassAscent.run context problem effort
        | ProjectedDescent -> ProjectedDescent.run context problem effort
        | CarliniWagner -> CarliniWagner.run context problem effort

/// The adversarial example at a given input, which may have been rounded since it was found; none where the class is that of
/// the nominal input.
let verify
    (context: Context)
    attack
    (network: Network)
    (input: Tensor)
    (adversarial: Tensor)
    : AdversarialExample option =
    let problem = AttackProblem.create context network input None

    if AttackProblem.hasOtherClass problem then
        AttackProblem.confirm context problem attack (Tensor.values adversarial)
    else
        None

/// The nearest of some examples.
let nearest (examples: AdversarialExample seq) : AdversarialExample option =
    examples |> Seq.sortBy _.Distance |> Seq.tryHead
