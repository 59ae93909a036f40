/// The solvers of this machine, found when they are first used.
module LipVerify.Solvers.InstalledSolvers

open LipVerify.Core.Bounds.Polynomials

/// GLOP for linear and CSDP for semidefinite programs. Where one is missing, its answer says what it needs.
let all =
    {
        Linear = Glop.solve
        Semidefinite = Csdp.solve
    }
