namespace LipVerify;

/// <summary>Searches for an input close to the nominal one that a network gives another class.</summary>
public enum Attack
{
    /// <summary>One step along the signs of the gradient (Goodfellow, Shlens and Szegedy 2015).</summary>
    FastGradientSign,

    /// <summary>Several such steps (Kurakin, Goodfellow and Bengio 2017).</summary>
    IteratedFastGradientSign,

    /// <summary>Gradient ascent on the margin of one class after the other.</summary>
    GradientAscent,

    /// <summary>Projected descent on spheres of changing radius: decoupled direction and norm (Rony et al. 2019).</summary>
    ProjectedDescent,

    /// <summary>Penalised distance, with a search over the penalty (Carlini and Wagner 2017).</summary>
    CarliniWagner,
}
