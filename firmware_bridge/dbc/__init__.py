"""The CAN frames of modules and string boxes as DBC files, for CANalyzer, SavvyCAN, cantools and gateway firmware."""
