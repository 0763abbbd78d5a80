"""Values with bounds: intervals, rates, and samples that do not depend on order."""
