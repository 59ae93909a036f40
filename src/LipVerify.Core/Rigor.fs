namespace LipVerify.Core
