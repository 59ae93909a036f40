namespace LipVerify.Formats
