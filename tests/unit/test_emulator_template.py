"""What is taken out of the built template for the emulator, and what is put in its place."""

from typing import Any

from deploy.emulator_template import filtered, references

TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Address": {"Type": "AWS::EC2::EIP"},
        "Gateway": {"Type": "AWS::EC2::NatGateway", "Properties": {"AllocationId": {"Fn::GetAtt": ["Address", "Id"]}}},
        "Route": {"Type": "AWS::EC2::Route", "Properties": {"NatGatewayId": {"Ref": "Gateway"}}},
        "Consumer": {"Type": "AWS::Kinesis::StreamConsumer"},
        "Function": {
            "Type": "AWS::Serverless::Function",
            "DependsOn": ["Route", "Stream"],
            "Properties": {
                "SnapStart": {"ApplyOn": "None"},
                "Environment": {"URL": {"Fn::Sub": "https://${Domain.Endpoint}/x"}},
                "Stream": {"Fn::If": ["Big", {"Fn::GetAtt": ["Consumer", "Arn"]}, {"Ref": "Stream"}]},
            },
        },
        "Stream": {"Type": "AWS::Kinesis::Stream"},
        "Login": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"GenerateSecretString": {"PasswordLength": 8}},
        },
    },
    "Outputs": {"Nat": {"Value": {"Ref": "Gateway"}}, "Stream": {"Value": {"Ref": "Stream"}}},
}


def test_what_the_emulator_does_not_know_goes_with_all_that_hangs_on_it_and_each_is_said() -> None:
    document, said = filtered(TEMPLATE, {"https://${Domain.Endpoint}": "http://127.0.0.1:9"})

    assert set(document["Resources"]) == {"Function", "Stream", "Login"}
    assert set(document["Outputs"]) == {"Stream"}
    function = document["Resources"]["Function"]
    assert function["DependsOn"] == ["Stream"]
    assert function["Properties"] == {
        "Environment": {"URL": {"Fn::Sub": "http://127.0.0.1:9/x"}},
        "Stream": {"Ref": "Stream"},
    }
    assert len(document["Resources"]["Login"]["Properties"]["SecretString"]) == 8
    assert [line for line in said if line.startswith("without ")] == [
        "without Address (AWS::EC2::EIP)",
        "without Consumer (AWS::Kinesis::StreamConsumer)",
        "without Gateway (AWS::EC2::NatGateway)",
        "without Route (AWS::EC2::Route)",
        "without Function.SnapStart: there is no snapshot in an emulator",
        "without the output Nat",
    ]
    assert "https://${Domain.Endpoint} is http://127.0.0.1:9" in said


def test_a_template_is_left_as_it_was_read() -> None:
    before = repr(TEMPLATE)

    filtered(TEMPLATE, {})

    assert repr(TEMPLATE) == before


def test_references_are_found_in_every_form() -> None:
    value = {
        "a": {"Ref": "One"},
        "b": [{"Fn::GetAtt": ["Two", "Arn"]}, {"Fn::GetAtt": "Three.Arn"}],
        "c": "x${Four.Id}",
    }

    assert references(value) == {"One", "Two", "Three", "Four"}
